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

describe('SGX and TDX evidence', { skip: sharedMissing }, () => {
  const vectors = sharedMissing === false ? parseVectors(readFileSync(MANIFEST, 'utf8')) : [];
  const quotes = vectors.filter(({ kind }) => kind === 'quote');
  const cache = new VerificationCache();

  it('is there in numbers', () => assert.ok(quotes.length >= 200, `${quotes.length} quotes`));

  for (const vector of quotes) {
    it(`${vector.id} comes out as the reference says`, async () => {
      const outcome = await judgeVector(vector, readBeside(MANIFEST, vector), cache);
      assert.deepEqual(findDisagreements(vector, outcome), []);
    });
  }
});
