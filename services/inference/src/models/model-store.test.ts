import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agreedModels, NAME, openStore, VERSION, type SceneChanges } from '../scene.test.ts';
import { openModelStore } from './model-store.ts';

type Bytes = Uint8Array<ArrayBuffer>;

function flipped(bytes: Bytes, at: number): Bytes {
  const changed = bytes.slice();
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

describe('openModelStore', () => {
  it('opens the model that the manifest names', async () => {
    const { models, refused } = await openStore();
    assert.deepEqual(refused, []);
    assert.equal(models[0]?.name, NAME);
    const bytes = await models[0]?.open();
    assert.equal(bytes?.length, 1_724_000);
  });

  const cases: readonly (readonly [string, SceneChanges, string])[] = [
    ['no key', { key: () => undefined }, 'key_missing'],
    ['another key', { key: (key) => flipped(key, 0) }, 'file_tampered'],
    [
      'a flipped bit of the sealed file',
      { sealed: (file) => flipped(file, 5000) },
      'file_tampered',
    ],
    ['a sealed file cut short', { sealed: (file) => file.slice(0, 1000) }, 'file_tampered'],
    ['an empty sealed file', { sealed: () => new Uint8Array(0) }, 'file_tampered'],
    [
      'a flipped weight, sealed well',
      { model: (file) => flipped(file, 900_000) },
      'digest_mismatch',
    ],
    ['another contract', { contract: (text) => text.replace('0.5', '0.4') }, 'contract_mismatch'],
  ];
  for (const [name, changes, code] of cases) {
    it(`refuses ${name}`, async () => {
      const { models, refused } = await openStore(changes);
      assert.deepEqual(models, []);
      assert.deepEqual(refused, [{ name: NAME, version: VERSION, code }]);
    });
  }

  it('refuses what is not in the store, and names that leave it', async () => {
    const agreed = Object.values(Object.values(await agreedModels())[0] ?? {})[0];
    assert.ok(agreed);
    const models = { '..': { '..': agreed }, a: { '1': agreed } };
    const store = await openModelStore({ folder: '/nonexistent', models, key: undefined });
    assert.deepEqual(
      store.refused.map(({ code }) => code),
      ['contract_missing', 'contract_missing'],
    );
  });
});
