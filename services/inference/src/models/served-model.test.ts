import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agreedModels, modelIdentities, type ServedModel } from './served-model.ts';

const DIGEST = 'aa'.repeat(32);
const CONTRACT = 'bb'.repeat(32);
const loaded = {
  name: 'm',
  version: '1',
  id: 0,
  stored: { name: 'm', version: '1', digest: DIGEST, contractDigest: CONTRACT },
} as unknown as ServedModel;
const agreed = { digest: DIGEST, contract: CONTRACT };

describe('agreedModels', () => {
  it('serves what the manifest in force names', () => {
    const models = agreedModels([loaded], { models: { m: { '1': agreed } } });
    assert.deepEqual(models, [loaded]);
    assert.deepEqual(modelIdentities(models), [{ name: 'm', version: '1', digest: DIGEST }]);
  });

  for (const [what, manifest] of [
    ['names no longer', { models: {} }],
    ['names in another version', { models: { m: { '2': agreed } } }],
    ['names with another digest', { models: { m: { '1': { ...agreed, digest: CONTRACT } } } }],
    ['names with another contract', { models: { m: { '1': { ...agreed, contract: DIGEST } } } }],
  ] as const)
    it(`serves nothing that it ${what}`, () => {
      const models = agreedModels([loaded], manifest);
      assert.deepEqual(models[0], { name: 'm', version: '1', refusal: 'not_agreed' });
      assert.deepEqual(modelIdentities(models), []);
    });

  it('says what it has not loaded, and why it could not load what it has', () => {
    const broken: ServedModel = { name: 'm', version: '1', refusal: 'digest_mismatch' };
    const models = agreedModels([broken], { models: { m: { '1': agreed, '2': agreed } } });
    assert.deepEqual(models, [broken, { name: 'm', version: '2', refusal: 'not_loaded' }]);
  });
});
