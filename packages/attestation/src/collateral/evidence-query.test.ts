import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { assert as assertProperty, nat, property, uint8Array } from 'fast-check';
import { MalformedError } from '@cloister/bytes';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { INTEL_ROOT } from '../intel/collateral.ts';
import { newPckChain, pckChainBytes } from '../intel/cached-verdicts.ts';
import { WEB_CRYPTO } from '../intel/evidence-crypto.ts';
import { parseQuote } from '../intel/quote.ts';
import { VerificationCache } from '../intel/verification-cache.ts';
import { intelQueryOf } from './evidence-query.ts';

const GENUINE = [
  ['openenclave-sgx-quote-ad7302', { tee: 'sgx', fmspc: '00906ed50000', ca: 'processor' }],
  ['automata-sample-quotes-268c06', { tee: 'sgx', fmspc: '00606a000000', ca: 'platform' }],
] as const;
const quoteOf = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(shared(`vectors/sgx/quotes/${name}.bin`)));

function attempt(bytes: Uint8Array): void {
  try {
    intelQueryOf(bytes);
  } catch (error) {
    assert.ok(error instanceof MalformedError, String(error));
  }
}

describe('intelQueryOf', { skip: sharedMissing }, () => {
  for (const [name, query] of GENUINE) {
    it(`reads processor and CA of ${name}`, () => {
      assert.deepEqual(intelQueryOf(quoteOf(name)), query);
    });

    it(`reads the same of ${name} from a chain that was verified before`, async () => {
      const quote = quoteOf(name);
      const cache = new VerificationCache();
      const chain = pckChainBytes(parseQuote(quote), undefined);
      await newPckChain(chain, [INTEL_ROOT], { cache, crypto: WEB_CRYPTO });
      assert.deepEqual(intelQueryOf(quote, { cache }), query);
    });
  }

  it('throws MalformedError, and nothing else, for whatever it is given', () => {
    const quote = quoteOf(GENUINE[0][0]);
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
