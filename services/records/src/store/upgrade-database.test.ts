import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, describe, it } from 'node:test';
import { openSqliteStore } from '@cloister/service';
import { upgradeDatabase } from './upgrade-database.ts';

const folder = mkdtempSync(join(tmpdir(), 'cloister-upgrade-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const bytes = (value: number) => new Uint8Array([value]);

/** As the first version of this service wrote it. */
function writeBefore(file: string): void {
  const database = new DatabaseSync(file);
  database.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE entry (
      position INTEGER PRIMARY KEY, header BLOB NOT NULL, content BLOB NOT NULL, hash BLOB NOT NULL
    ) STRICT;
    CREATE TABLE key (id TEXT PRIMARY KEY, wrapped BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE request (enc BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO entry VALUES (1, x'11', x'22', x'33');
    INSERT INTO key VALUES ('log', x'44');
    INSERT INTO request VALUES (x'55', 1000);
  `);
  database.close();
}

describe('upgradeDatabase', () => {
  it('keeps all that the first version wrote, and does nothing the second time', async () => {
    const file = join(folder, 'before.db');
    writeBefore(file);
    upgradeDatabase(file);
    upgradeDatabase(file);
    const store = openSqliteStore(file);
    assert.deepEqual(await store.entry(1), {
      position: 1,
      hash: bytes(0x33),
      header: bytes(0x11),
      content: bytes(0x22),
    });
    assert.deepEqual(await store.value('key/log'), { version: 1, value: bytes(0x44) });
    assert.equal(await store.hasMarker(bytes(0x55)), true);
    await store.forget(1000 + 48 * 3600_000);
    assert.equal(await store.hasMarker(bytes(0x55)), false);
    await store.close();
  });

  it('leaves other files alone, and makes none', async () => {
    const file = join(folder, 'new.db');
    upgradeDatabase(file);
    assert.throws(() => readFileSync(file), { code: 'ENOENT' });
    await openSqliteStore(file).close();
    const before = readFileSync(file);
    upgradeDatabase(file);
    assert.deepEqual(readFileSync(file), before);
  });
});
