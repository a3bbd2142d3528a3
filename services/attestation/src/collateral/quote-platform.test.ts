import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assert as assertProperty, nat, property, uint8Array } from 'fast-check';
import { MalformedError } from '@cloister/bytes';
import { sharedMissing } from '../../../../tests/shared.ts';
import { sharedBytes } from '../fixture.test.ts';
import { createPlatformReader } from './quote-platform.ts';

const platformOfQuote = (quote: Uint8Array) => createPlatformReader()(quote);
const attempt = (bytes: Uint8Array): void => {
  try {
    platformOfQuote(bytes);
  } catch (error) {
    assert.ok(error instanceof MalformedError, String(error));
  }
};
const SKIP = { skip: sharedMissing };

describe('platformOfQuote', SKIP, () => {
  it('reads processor and CA', () => {
    for (const [file, platform] of [
      ['openenclave-sgx-quote-ad7302', { fmspc: '00906ed50000', ca: 'processor' }],
      ['automata-sample-quotes-268c06', { fmspc: '00606a000000', ca: 'platform' }],
    ] as const)
      assert.deepEqual(platformOfQuote(sharedBytes(`sgx/quotes/${file}.bin`)), platform);
  });

  it('reads the same when it remembers, however many platforms come', () => {
    const read = createPlatformReader();
    const quote = sharedBytes('sgx/quotes/openenclave-sgx-quote-ad7302.bin');
    const other = sharedBytes('sgx/quotes/automata-sample-quotes-268c06.bin');
    for (let i = 0; i < 300; i++) {
      // Text between certificates makes another chain of the same platform.
      const spaced = Buffer.from(
        Buffer.from(other)
          .toString('latin1')
          .replace('CATE-----\n', `CATE-----${' '.repeat(i)}\n`),
        'latin1',
      );
      assert.deepEqual(read(spaced), platformOfQuote(other));
      assert.deepEqual(read(quote), platformOfQuote(quote));
    }
  });

  it('throws MalformedError, and nothing else, for whatever it is given', () => {
    const quote = sharedBytes('sgx/quotes/openenclave-sgx-quote-ad7302.bin');
    for (let length = 0; length < quote.length; length += 7) attempt(quote.subarray(0, length));
    assertProperty(
      property(nat(quote.length - 1), nat(255), (at, byte) => {
        const changed = quote.slice();
        changed[at] = byte;
        attempt(changed);
      }),
    );
    assertProperty(property(uint8Array({ maxLength: 2000 }), attempt));
  });
});
