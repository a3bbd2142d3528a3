import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { VerificationCache } from '@cloister/attestation';
import {
  findDisagreements,
  judgeVector,
  parseVectors,
  readBeside,
} from '../../apps/cli/src/evidence-vectors.ts';
import { shared, sharedMissing } from '../shared.ts';

const MANIFEST = shared('vectors/EVIDENCE-MANIFEST.json');

describe('SEV-SNP and Azure HCL evidence', { skip: sharedMissing }, () => {
  const all = sharedMissing === false ? parseVectors(readFileSync(MANIFEST, 'utf8')) : [];
  const reports = all.filter(({ kind }) => kind !== 'quote');
  const cache = new VerificationCache();

  it('is there in numbers', () => assert.ok(reports.length >= 70, `${reports.length} reports`));

  for (const vector of reports) {
    it(`${vector.id} comes out as the reference says`, async () => {
      const outcome = await judgeVector(vector, readBeside(MANIFEST, vector), cache);
      assert.deepEqual(findDisagreements(vector, outcome), []);
    });
  }

  it('takes the free choice of mayAccept the strict way: certificates given must be good', async () => {
    const free = reports.filter(({ expected }) => expected['mayAccept'] !== undefined);
    assert.ok(free.length >= 3);
    for (const vector of free) {
      const outcome = await judgeVector(vector, readBeside(MANIFEST, vector), cache);
      assert.deepEqual([outcome.verdict, outcome.failure], ['reject', 'snp.chain'], vector.id);
    }
  });
});
