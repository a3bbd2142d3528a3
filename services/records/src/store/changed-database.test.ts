import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { importSealingKey, TamperedError } from '@cloister/sealing';
import { openSqliteStore } from '@cloister/service';
import { newFile, openFile } from '../../tools/test-files.ts';
import { addPatient, memoryAnchor, openReplica, random } from '../../tools/test-replicas.ts';
import { testTenantKey } from '../../tools/test-tenant-key.ts';

const tampered = (code: string) => (error: unknown) =>
  error instanceof TamperedError && error.code === code;

/** Changes the closed database behind the service's back. */
function meddle(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

async function written(): Promise<string> {
  const file = newFile();
  const ledger = await openFile({ file });
  for (const id of ['p1', 'p2', 'p3', 'p4']) await addPatient(ledger, id, id);
  await ledger.close();
  return file;
}

describe('a database that was changed', () => {
  const cases: [string, string, string][] = [
    [
      'a flipped byte of a content',
      "UPDATE entry SET content = CAST(content || x'00' AS BLOB) WHERE position = 2",
      'chain_broken',
    ],
    ['a missing row', 'DELETE FROM entry WHERE position = 2', 'entry_missing'],
    [
      'a row in the place of another',
      'UPDATE entry SET header = (SELECT header FROM entry WHERE position = 1), content = (SELECT content FROM entry WHERE position = 1) WHERE position = 3',
      'chain_broken',
    ],
    [
      'swapped rows',
      'UPDATE entry SET position = 99 WHERE position = 1; UPDATE entry SET position = 1 WHERE position = 2; UPDATE entry SET position = 2 WHERE position = 99',
      'chain_broken',
    ],
    [
      'a missing key',
      "DELETE FROM value WHERE key NOT IN ('key/log', 'key/service')",
      'entry_missing',
    ],
    ['a log without its own keys', "DELETE FROM value WHERE key LIKE 'key/%'", 'entry_missing'],
    [
      'swapped keys',
      "UPDATE value SET value = (SELECT value FROM value WHERE key = 'key/service') WHERE key = 'key/log'",
      'not_authentic',
    ],
  ];
  for (const [what, sql, code] of cases)
    it(`is refused at start: ${what}`, async () => {
      const file = await written();
      meddle(file, sql);
      await assert.rejects(openFile({ file }), tampered(code));
    });

  it('is refused when read: a row that changed while the service runs', async () => {
    const file = await written();
    const store = openSqliteStore(file);
    const ledger = await openReplica(store, { shared: false });
    const entry = store.entry.bind(store);
    // The host answers with another row than it was given.
    store.entry = (position) => entry(position === 2 ? 3 : position);
    await assert.rejects(ledger.read('Patient', 'p2'), tampered('entry_replaced'));
    store.entry = async (position) => {
      const row = await entry(position);
      return row && { ...row, content: row.content.map((b, i) => (i === 60 ? b ^ 1 : b)) };
    };
    await assert.rejects(ledger.read('Patient', 'p2'), tampered('chain_broken'));
    store.entry = () => Promise.resolve(undefined);
    await assert.rejects(ledger.read('Patient', 'p2'), tampered('entry_missing'));
    store.entry = entry;
    assert.ok(await ledger.read('Patient', 'p2'));
    await ledger.close();
  });

  it('is refused at start when it ends before the anchored head', async () => {
    const { anchor, kept } = memoryAnchor();
    const file = newFile();
    const ledger = await openFile({ file, anchor });
    for (const id of ['p1', 'p2', 'p3']) await addPatient(ledger, id);
    await ledger.close();
    assert.equal(kept()?.value, 4);
    meddle(file, 'DELETE FROM entry WHERE position = 3');
    await assert.rejects(openFile({ file, anchor }), tampered('log_truncated'));
    meddle(file, 'DELETE FROM entry; DELETE FROM value');
    await assert.rejects(openFile({ file, anchor }), tampered('log_truncated'));
  });

  it('is refused under another tenant key', async () => {
    const file = await written();
    const key = await importSealingKey('tenant', random(32));
    const tenantKeys = [{ ...(await testTenantKey()), key }];
    await assert.rejects(openFile({ file, tenantKeys }), tampered('not_authentic'));
  });
});
