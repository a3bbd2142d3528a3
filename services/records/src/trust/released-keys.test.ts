import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { SecretVersion } from '@cloister/attestation';
import type { Bytes } from '@cloister/bytes';
import { openSqliteStore } from '@cloister/service';
import { releaseOf } from '../../tools/test-release.ts';
import { LogKeys } from '../store/log-keys.ts';
import { tenantKeysOf } from './released-keys.ts';

const random = (length: number): Bytes => new Uint8Array(randomBytes(length));
const key = (version: number, from: number): SecretVersion => ({
  version,
  value: new Uint8Array(32).fill(version),
  from,
});
const at = new Date(100_000);

/** The keys of one log, by what the broker released. */
async function logKeys(store: ReturnType<typeof openSqliteStore>, versions: SecretVersion[]) {
  const secret = releaseOf('tenant-key', 'aes256', versions);
  const tenantKeys = await tenantKeysOf(secret, at);
  return new LogKeys({ store, tenant: 'lamna', tenantKeys, random });
}

describe('tenantKeysOf', () => {
  it('opens what an older tenant key wrapped, and wraps by the newest one that has begun', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cloister-keys-'));
    const store = openSqliteStore(join(folder, 'records.db'));
    try {
      const before = await logKeys(store, [key(1, 0)]);
      const old = await before.create('patient-1');
      await store.commit({ values: [old.change] });
      // The broker replaced the key at once; a third one is made, and has not begun.
      const now = await logKeys(store, [key(3, 200), key(2, 50), key(1, 0)]);
      assert.equal((await now.get('patient-1')).id, 'patient-1');
      const fresh = await now.create('patient-2');
      await store.commit({ values: [fresh.change] });
      const second = await logKeys(store, [key(2, 50)]);
      assert.equal((await second.get('patient-2')).id, 'patient-2');
      await assert.rejects(second.get('patient-1'), { name: 'TamperedError' });
    } finally {
      await store.close();
      rmSync(folder, { recursive: true });
    }
  });

  it('gives none where none has begun', async () => {
    const secret = releaseOf('tenant-key', 'aes256', [key(1, 200)]);
    await assert.rejects(tenantKeysOf(secret, at), { code: 'bad_config' });
  });
});
