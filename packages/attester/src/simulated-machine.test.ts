import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import {
  createSimulatedQuote,
  platformCollateral,
  platformRootDigest,
  verifySimulatedQuote,
} from '@cloister/attestation';
import { openSimulatedPlatform } from './simulated-machine.ts';

describe('openSimulatedPlatform', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-platform-'));
  after(() => rmSync(folder, { recursive: true }));

  it('makes one platform per machine, however many ask for it first', async () => {
    const all = await Promise.all([1, 2, 3, 4].map(() => openSimulatedPlatform(folder)));
    const digests = await Promise.all(all.map(platformRootDigest));
    assert.equal(new Set(digests).size, 1);
    assert.equal(new Set(all.map(({ sealingRoot }) => sealingRoot.toString())).size, 1);
    const again = await openSimulatedPlatform(folder);
    assert.equal(await platformRootDigest(again), digests[0]);
  });

  it("keeps it in one file that is its owner's alone", () => {
    assert.deepEqual(readdirSync(folder), ['platform.json']);
    assert.equal(statSync(join(folder, 'platform.json')).mode & 0o777, 0o600);
  });

  it('renews collateral that is about to end, under the same root', async () => {
    const before = await openSimulatedPlatform(folder);
    const later = new Date(Date.now() + 350 * 86_400_000);
    const renewed = await openSimulatedPlatform(folder, () => later);
    assert.notDeepEqual(platformCollateral(renewed), platformCollateral(before));
    assert.equal(await platformRootDigest(renewed), await platformRootDigest(before));
    assert.deepEqual(renewed.sealingRoot, before.sealingRoot);
    const again = await openSimulatedPlatform(folder, () => later);
    assert.deepEqual(platformCollateral(again), platformCollateral(renewed));
    const result = await verifySimulatedQuote(
      await createSimulatedQuote(renewed, {
        mrenclave: 'ab'.repeat(32),
        mrsigner: 'cd'.repeat(32),
        isvProdId: 1,
        isvSvn: 1,
        reportData: new Uint8Array(64),
      }),
      {
        collateral: platformCollateral(again),
        at: new Date(later.getTime() + 20 * 86_400_000),
        rootDigests: [await platformRootDigest(before)],
      },
    );
    assert.ok(result.ok);
  });

  it('does not replace a file that it cannot read', async () => {
    for (const text of ['', '{}', '{"platform":{},"sealingRoot":"AA"}']) {
      writeFileSync(join(folder, 'platform.json'), text);
      await assert.rejects(openSimulatedPlatform(folder), { code: 'platform_unreadable' });
    }
  });
});
