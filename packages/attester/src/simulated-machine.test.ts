import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { platformRootDigest } from '@cloister/attestation';
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

  it('does not replace a file that it cannot read', async () => {
    for (const text of ['', '{}', '{"platform":{},"sealingRoot":"AA"}']) {
      writeFileSync(join(folder, 'platform.json'), text);
      await assert.rejects(openSimulatedPlatform(folder), { code: 'platform_unreadable' });
    }
  });
});
