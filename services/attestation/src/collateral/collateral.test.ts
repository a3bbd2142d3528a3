import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { assert as assertProperty, nat, property, uint8Array } from 'fast-check';
import { encodeIntelEndorsements } from '@cloister/attestation';
import { MalformedError } from '@cloister/bytes';
import { sharedMissing } from '../../../../tests/shared.ts';
import {
  NEWER,
  newerCollateral,
  RECORDED,
  recordedCollateral,
  sharedBytes,
} from '../fixture.test.ts';
import { createCollateralStore } from './collateral-store.ts';
import { loadCollateral } from './load-collateral.ts';
import { createPlatformReader, platformOfQuote } from './quote-platform.ts';

const attempt = (bytes: Uint8Array): void => {
  try {
    platformOfQuote(bytes);
  } catch (error) {
    assert.ok(error instanceof MalformedError, String(error));
  }
};
const SKIP = { skip: sharedMissing };
const KEY = { tee: 'sgx', fmspc: '00906ed50000', ca: 'processor' } as const;

describe('createCollateralStore', SKIP, () => {
  it('gives the newest that is good at the time, else the newest', () => {
    const older = recordedCollateral();
    const newer = newerCollateral();
    const store = createCollateralStore([older, newer]);
    assert.equal(store.size, 2);
    assert.equal(store.find(KEY, RECORDED), older);
    assert.equal(store.find(KEY, NEWER), newer);
    assert.equal(store.find(KEY, new Date(0)), newer);
  });

  it('gives none of another kind, processor or CA', () => {
    const store = createCollateralStore([newerCollateral()]);
    for (const other of [{ tee: 'tdx' }, { fmspc: '00906ed50001' }, { ca: 'platform' }] as const)
      assert.equal(store.find({ ...KEY, ...other }, NEWER), undefined);
  });

  it('refuses what does not say what it is for', () => {
    const good = newerCollateral();
    for (const tcbInfo of ['', '{}', '{"tcbInfo":{"fmspc":1}}'])
      assert.throws(() => createCollateralStore([{ ...good, tcbInfo }]), MalformedError);
    const pckCrl = good.pckCrl.subarray(1);
    assert.throws(() => createCollateralStore([{ ...good, pckCrl }]), MalformedError);
  });
});

describe('loadCollateral', SKIP, () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-collateral-'));
  after(() => rmSync(folder, { recursive: true }));

  it('reads a file, and a folder of them', async () => {
    for (const [name, collateral] of [
      ['a.json', recordedCollateral()],
      ['b.json', newerCollateral()],
    ] as const)
      writeFileSync(join(folder, name), JSON.stringify(encodeIntelEndorsements(collateral)));
    writeFileSync(join(folder, 'README'), 'no collateral');
    assert.deepEqual(await loadCollateral(join(folder, 'b.json')), [newerCollateral()]);
    assert.deepEqual(await loadCollateral(folder), [recordedCollateral(), newerCollateral()]);
  });

  it('says that a file is absent or malformed', async () => {
    writeFileSync(join(folder, 'c.json'), '{"tcbInfo":""}');
    for (const name of ['', 'c.json', 'absent.json'])
      await assert.rejects(loadCollateral(join(folder, name)), { name: 'ConfigError' });
  });
});

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
