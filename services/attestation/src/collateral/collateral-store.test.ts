import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync, copyFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import {
  encodeBundle,
  encodeIntelEndorsements,
  INTEL_ROOT,
  intelEntry,
  verifySgxQuote,
  type IntelCollateralSource,
} from '@cloister/attestation';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import {
  NEWER,
  newerCollateral,
  RECORDED,
  recordedCollateral,
  sharedBytes,
  storeOf,
} from '../fixture.test.ts';
import { createCollateralStore } from './collateral-store.ts';
import { loadCollateral } from './load-collateral.ts';

const SKIP = { skip: sharedMissing };
const quote = () => sharedBytes('maa/sdk/sgx-debug.quote.bin');
const KEY = { tee: 'sgx', fmspc: '00906ed50000', ca: 'processor' } as const;

describe('createCollateralStore', SKIP, () => {
  it('gives the newest that is good at the time, else the newest', async () => {
    const [older, newer] = [recordedCollateral(), newerCollateral()];
    const store = storeOf(older, newer);
    assert.equal(store.size, 2);
    assert.equal(await store.find(KEY, RECORDED), older);
    assert.equal(await store.find(KEY, NEWER), newer);
    assert.equal(await store.find(KEY, new Date(0)), newer);
  });

  it('gives none of another kind, processor or CA', async () => {
    const store = storeOf(newerCollateral());
    for (const other of [{ tee: 'tdx' }, { fmspc: '00906ed50001' }, { ca: 'platform' }] as const)
      assert.equal(await store.find({ ...KEY, ...other }, NEWER), undefined);
  });

  it('gives that of a baseline, or a newer one that is in force', async () => {
    const [older, newer] = [recordedCollateral(), newerCollateral()];
    const store = storeOf(older, newer);
    assert.equal(await store.find(KEY, NEWER, 12), older);
    assert.equal(await store.find(KEY, NEWER, 17), newer);
    assert.equal(await store.find(KEY, NEWER, 13), newer);
    assert.equal(await store.find(KEY, NEWER, 18), undefined);
    assert.deepEqual(
      store.baselines('sgx').map(({ evaluation }) => evaluation),
      [17, 12],
    );
    assert.deepEqual(store.baselines('tdx'), []);
  });

  it('asks the network where nothing at hand is good, and gives the same object again', async () => {
    let asked = 0;
    const remote: IntelCollateralSource = {
      name: 'test',
      intel: (query) => {
        asked += 1;
        if (query.ca === 'platform') return Promise.resolve({ ok: false, failures: [] });
        const value = { ...newerCollateral(), pckCrl: CRL, rootCaCrl: ROOT_CRL };
        return Promise.resolve({ ok: true, value, origins: [], failures: [] });
      },
    };
    const { pckCrl: CRL, rootCaCrl: ROOT_CRL } = newerCollateral();
    const store = createCollateralStore({ entries: [intelEntry(recordedCollateral())], remote });
    await store.find(KEY, RECORDED);
    assert.equal(asked, 0);
    const found = await store.find(KEY, NEWER);
    assert.equal(found?.tcbInfo, newerCollateral().tcbInfo);
    assert.equal(await store.find(KEY, NEWER), found);
    assert.equal(asked, 2);
    assert.equal(await store.find({ ...KEY, ca: 'platform' }, NEWER), undefined);
  });
});

describe('loadCollateral', SKIP, () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-collateral-'));
  after(() => rmSync(folder, { recursive: true }));

  it('reads endorsements and bundles, from a file and from a folder', async () => {
    const [older, newer] = [recordedCollateral(), newerCollateral()];
    writeFileSync(join(folder, 'a.json'), JSON.stringify(encodeIntelEndorsements(older)));
    writeFileSync(join(folder, 'b.json'), encodeBundle([intelEntry(newer)]));
    writeFileSync(join(folder, 'README'), 'no collateral');
    const one = createCollateralStore(await loadCollateral(join(folder, 'b.json')));
    assert.deepEqual(await one.find(KEY, NEWER), newer);
    const both = createCollateralStore(await loadCollateral(folder));
    assert.deepEqual(await both.find(KEY, RECORDED), older);
    assert.deepEqual(await both.find(KEY, NEWER), newer);
  });

  it("puts Intel's own documents together, of the time at which they are good", async () => {
    for (const path of [shared('vectors/sgx/collateral'), shared('vectors/sgx')]) {
      const store = createCollateralStore(await loadCollateral(path));
      for (const at of [RECORDED, NEWER]) {
        const collateral = await store.find(KEY, at);
        assert.ok(collateral);
        const result = await verifySgxQuote(quote(), { collateral, at, anchors: [INTEL_ROOT] });
        assert.ok(result.ok, result.ok ? '' : result.code);
        assert.equal(await store.find(KEY, at), collateral);
      }
      assert.deepEqual(
        store.baselines('sgx').map(({ evaluation }) => evaluation),
        [19, 17, 15, 12],
      );
    }
  });

  it('takes TDX documents beside those of SGX', async () => {
    const mixed = join(folder, 'mixed');
    mkdirSync(mixed);
    for (const [from, names] of [
      ['tdx', ['tcbinfo-b0c06f000000-v3-ev17-2025-06-19.json', 'tdqe-ev17-2025-06-19.json']],
      [
        'sgx',
        [
          'qe-ev17-2025-06-19.json',
          'tcb-signing-2025.pem',
          'crl-platform-2025-06-19-e583e9.der',
          'crl-root-2025-03-20-ad6f3f.der',
        ],
      ],
    ] as const)
      for (const name of names)
        copyFileSync(shared(`vectors/${from}/collateral/${name}`), join(mixed, name));
    const store = createCollateralStore(await loadCollateral(mixed));
    const key = { tee: 'tdx', fmspc: 'b0c06f000000', ca: 'platform' } as const;
    const found = await store.find(key, new Date('2025-06-25T00:00:00Z'));
    assert.match(found?.qeIdentity ?? '', /"TD_QE"/);
    assert.equal(await store.find({ ...key, tee: 'sgx' }, NEWER), undefined);
  });

  it('says that a file is absent or malformed, or that nobody signed it', async () => {
    writeFileSync(join(folder, 'c.json'), '{"tcbInfo":""}');
    const orphan = join(folder, 'orphan');
    mkdirSync(orphan);
    const name = 'tcbinfo-00906ed50000-v3-ev17-2025-05-27.json';
    copyFileSync(shared(`vectors/sgx/collateral/${name}`), join(orphan, name));
    for (const path of [folder, join(folder, 'c.json'), join(folder, 'absent.json'), orphan])
      await assert.rejects(loadCollateral(path), { name: 'ConfigError' });
  });
});
