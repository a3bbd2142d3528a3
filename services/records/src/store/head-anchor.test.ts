import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AnchorSecrets, createSealedAnchor } from './head-anchor.ts';
import { loadTenantKey } from '../tenant-key.ts';

const coded = (code: string) => Object.assign(new Error(code), { code });
const failing = (code: string): AnchorSecrets => ({
  get: () => Promise.reject(coded(code)),
  put: () => Promise.reject(coded(code)),
});
function inMemory(): AnchorSecrets {
  const kept = new Map<string, Uint8Array>();
  return {
    get: (name) => {
      const value = kept.get(name);
      return value ? Promise.resolve(value) : Promise.reject(coded('secret_missing'));
    },
    put: (name, value) => {
      kept.set(name, value);
      return Promise.resolve();
    },
  };
}

describe('createSealedAnchor', () => {
  it('gives back the head that was written', async () => {
    const anchor = createSealedAnchor(inMemory());
    assert.equal(await anchor.read(), undefined);
    const head = { position: 7, hash: new Uint8Array(32).fill(9) };
    await anchor.write(head);
    assert.deepEqual(await anchor.read(), head);
  });

  it('says that it was tampered with, and passes other failures on', async () => {
    const tampered = createSealedAnchor(failing('secret_tampered'));
    await assert.rejects(tampered.read(), { name: 'TamperedError', code: 'not_authentic' });
    const broken = createSealedAnchor(failing('secret_unreadable'));
    await assert.rejects(broken.read(), { code: 'secret_unreadable' });
  });
});

const random = (length: number) => new Uint8Array(length).fill(1);

describe('loadTenantKey', () => {
  it('makes a key with a new database, and finds it again', async () => {
    const secrets = inMemory();
    assert.equal((await loadTenantKey(secrets, random, false)).id, 'tenant');
    assert.equal((await loadTenantKey(secrets, random, true)).id, 'tenant');
  });

  it('never makes one for a database that is there', async () => {
    await assert.rejects(loadTenantKey(inMemory(), random, true), { code: 'bad_config' });
    const broken = failing('secret_tampered');
    await assert.rejects(loadTenantKey(broken, random, false), { code: 'secret_tampered' });
  });
});
