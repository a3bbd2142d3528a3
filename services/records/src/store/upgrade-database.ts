import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/**
 * Brings a database that an earlier version of this service wrote into the form of the common store:
 * all of it, or nothing. Does nothing to any other file.
 */
export function upgradeDatabase(file: string): void {
  if (!existsSync(file)) return;
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    const tables = database
      .prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name IN ('entry', 'key', 'request')")
      .get();
    if (tables?.['n'] !== 3) return;
    database.exec(`
      PRAGMA synchronous = FULL;
      BEGIN EXCLUSIVE;
      ALTER TABLE entry RENAME TO entry_before;
      CREATE TABLE entry (
        position INTEGER PRIMARY KEY, hash BLOB NOT NULL, header BLOB NOT NULL, content BLOB NOT NULL
      ) STRICT;
      INSERT INTO entry SELECT position, hash, header, content FROM entry_before;
      CREATE TABLE value (key TEXT PRIMARY KEY, version INTEGER NOT NULL, value BLOB)
        STRICT, WITHOUT ROWID;
      INSERT INTO value SELECT 'key/' || id, 1, wrapped FROM key;
      CREATE TABLE marker (marker BLOB PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      INSERT INTO marker SELECT enc, at + ${48 * 3600_000} FROM request;
      DROP TABLE entry_before;
      DROP TABLE key;
      DROP TABLE request;
      COMMIT;
    `);
  } finally {
    database.close();
  }
}
