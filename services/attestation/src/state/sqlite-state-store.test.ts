import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { chainHash, openSqliteStateStore } from './sqlite-state-store.ts';
import type { AuditRecord } from './state-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'cloister-state-'));
const record: AuditRecord = {
  time: 1,
  actor: 'someone',
  operation: 'set-policy',
  subject: 'SgxEnclave',
  digest: 'd',
  outcome: 'done',
};

describe('the state store', () => {
  after(() => rmSync(folder, { recursive: true }));

  it('keeps what was set last, per type, over a restart', async () => {
    const file = join(folder, 'kept.sqlite');
    const store = openSqliteStateStore(file);
    assert.deepEqual(await store.policy('SgxEnclave'), { version: 0, value: undefined });
    assert.ok(await store.setPolicy('SgxEnclave', 'a.b.', 0, record));
    assert.ok(await store.setPolicy('SgxEnclave', undefined, 1, record));
    assert.ok(await store.setPolicy('SgxEnclave', 'c.d.', 2, record));
    assert.ok(await store.setSigners([Uint8Array.of(1, 2)], 0));
    store.close();
    const again = openSqliteStateStore(file);
    assert.deepEqual(await again.policy('SgxEnclave'), { version: 3, value: 'c.d.' });
    assert.deepEqual(await again.policy('OpenEnclave'), { version: 0, value: undefined });
    assert.deepEqual(await again.signers(), { version: 1, value: [Uint8Array.of(1, 2)] });
    again.close();
  });

  it('makes one of two changes that were decided on the same state, with its record', async () => {
    const file = join(folder, 'two.sqlite');
    const [a, b] = [openSqliteStateStore(file), openSqliteStateStore(file)];
    assert.ok(await a.setPolicy('TdxVm', 'a', 0, record));
    assert.equal(await b.setPolicy('TdxVm', 'b', 0, record), false);
    assert.ok(await b.setPolicy('TdxVm', 'b', 1, record));
    assert.equal(await a.setPolicy('TdxVm', 'c', 1, record), false);
    assert.equal((await a.records(0, 10)).length, 2);
    assert.ok(await a.claimRotation(0, record));
    assert.equal(await b.claimRotation(0, record), false);
    assert.equal(await b.rotation(), 1);
    a.close();
    b.close();
  });

  it('chains its records', async () => {
    const store = openSqliteStateStore(undefined);
    for (let time = 1; time <= 3; time++) await store.record({ ...record, time });
    const records = await store.records(1, 10);
    assert.deepEqual(
      records.map(({ position, time }) => [position, time]),
      [
        [2, 2],
        [3, 3],
      ],
    );
    const [second, third] = records;
    assert.ok(second && third);
    assert.equal(third.hash, chainHash(second.hash, 3, third));
    assert.notEqual(third.hash, chainHash(second.hash, 3, { ...third, actor: 'other' }));
    store.close();
  });

  it('does not open what is no database', () => {
    const file = join(folder, 'broken.sqlite');
    writeFileSync(file, 'not a database at all, but long enough to be looked at'.repeat(100));
    assert.throws(() => openSqliteStateStore(file), { name: 'ConfigError' });
  });
});
