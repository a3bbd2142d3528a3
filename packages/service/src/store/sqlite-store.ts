import { DatabaseSync } from 'node:sqlite';
import { asBytes, equalBytes, type Bytes } from '@cloister/bytes';
import { checkBatch, type Batch, type Store, type StoreEntry, type StoreHead } from './store.ts';
import { StoreError, type StoreErrorCode } from './store-error.ts';

/** How the database is opened. */
export interface SqliteStoreOptions {
  /** Most pages of 4 KiB the file may have: for small volumes, and for tests of a full disk. */
  readonly maxPages?: number;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS entry (
    position INTEGER PRIMARY KEY, hash BLOB NOT NULL, header BLOB NOT NULL, content BLOB NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS value (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL, value BLOB
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS marker (marker BLOB PRIMARY KEY, until INTEGER NOT NULL)
    STRICT, WITHOUT ROWID;
  PRAGMA application_id = 1129071444;
  PRAGMA user_version = 1;
`;
/** How many entries are read at once. */
const PAGE = 256;

/**
 * The embedded store: SQLite of Node itself, WAL, every commit synced to the disk
 * (`synchronous = FULL`), one process only (`locking_mode = EXCLUSIVE`, which also avoids a
 * shared-memory file in an enclave). Storage spec 2.3. Throws StoreError, `in_use` where another
 * process has it.
 */
export function openSqliteStore(file: string, options: SqliteStoreOptions = {}): Store {
  const database = attempt(() => open(file, options));
  const statements = attempt(() => prepare(database));
  const page = (from: number): StoreEntry[] =>
    attempt(() => statements.page.all(from, PAGE)).map(entryOf);
  const head = (): StoreHead => {
    const row = attempt(() => statements.head.get());
    return row === undefined
      ? { position: 0, hash: new Uint8Array(0) }
      : { position: numberOf(row['position']), hash: bytesOf(row['hash']) };
  };
  const write = ({ append, values = [], markers = [] }: Batch): void => {
    if (append !== undefined) {
      const { position, hash } = head();
      const { after } = append;
      if (position !== after.position || !equalBytes(hash, after.hash))
        throw new StoreError('conflict');
    }
    for (const { marker, until } of markers)
      if (statements.addMarker.run(marker, until).changes !== 1) throw new StoreError('replayed');
    for (const { key, version, value = null } of values) {
      const { changes } =
        version === 0
          ? statements.addValue.run(key, value)
          : statements.setValue.run(value, key, version);
      if (changes !== 1) throw new StoreError('conflict');
    }
    for (const { position, hash, header, content } of append?.entries ?? [])
      statements.addEntry.run(position, hash, header, content);
  };

  return {
    head: async () => head(),
    async *entries(from = 1) {
      for (let at = from, rows = page(at); rows.length > 0; rows = page(at)) {
        yield* rows;
        at += rows.length;
      }
    },
    entry: async (position) => {
      const row = attempt(() => statements.entry.get(position));
      return row === undefined ? undefined : entryOf(row);
    },
    value: async (key) => {
      const row = attempt(() => statements.value.get(key));
      if (row === undefined) return { version: 0, value: undefined };
      const value = row['value'] === null ? undefined : bytesOf(row['value']);
      return { version: numberOf(row['version']), value };
    },
    keys: async (prefix) =>
      attempt(() => statements.keys.all(prefix.length, prefix)).map((row) => textOf(row['key'])),
    hasMarker: async (marker) => attempt(() => statements.marker.get(marker)) !== undefined,
    commit: async (batch) => {
      checkBatch(batch);
      attempt(() => {
        database.exec('BEGIN IMMEDIATE');
        try {
          write(batch);
          database.exec('COMMIT');
        } catch (error) {
          // SQLite has rolled back by itself after some errors; a second rollback would fail.
          if (database.isTransaction) database.exec('ROLLBACK');
          throw error;
        }
      });
    },
    forget: async (at) => {
      attempt(() => statements.forget.run(at));
    },
    close: async () => {
      if (database.isOpen) database.close();
    },
  };
}

function open(file: string, { maxPages }: SqliteStoreOptions): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA foreign_keys = ON;
      PRAGMA trusted_schema = OFF;
      PRAGMA cell_size_check = ON;
    `);
    if (maxPages !== undefined) database.exec(`PRAGMA max_page_count = ${Math.floor(maxPages)}`);
    database.exec(SCHEMA);
    // The first write takes the lock that this process then holds to its end.
    database.exec('BEGIN EXCLUSIVE; COMMIT');
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}

function prepare(database: DatabaseSync) {
  const entry = 'SELECT position, hash, header, content FROM entry';
  return {
    head: database.prepare('SELECT position, hash FROM entry ORDER BY position DESC LIMIT 1'),
    page: database.prepare(`${entry} WHERE position >= ? ORDER BY position LIMIT ?`),
    entry: database.prepare(`${entry} WHERE position = ?`),
    value: database.prepare('SELECT version, value FROM value WHERE key = ?'),
    keys: database.prepare(
      'SELECT key FROM value WHERE substr(key, 1, ?) = ? AND value IS NOT NULL ORDER BY key',
    ),
    marker: database.prepare('SELECT 1 FROM marker WHERE marker = ?'),
    addEntry: database.prepare('INSERT INTO entry VALUES (?, ?, ?, ?)'),
    addValue: database.prepare('INSERT INTO value VALUES (?, 1, ?) ON CONFLICT DO NOTHING'),
    setValue: database.prepare(
      'UPDATE value SET version = version + 1, value = ? WHERE key = ? AND version = ?',
    ),
    addMarker: database.prepare('INSERT INTO marker VALUES (?, ?) ON CONFLICT DO NOTHING'),
    forget: database.prepare('DELETE FROM marker WHERE until <= ?'),
  };
}

function entryOf(row: Record<string, unknown>): StoreEntry {
  return {
    position: numberOf(row['position']),
    hash: bytesOf(row['hash']),
    header: bytesOf(row['header']),
    content: bytesOf(row['content']),
  };
}

function numberOf(value: unknown): number {
  if (typeof value !== 'number') throw new StoreError('corrupt');
  return value;
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new StoreError('corrupt');
  return value;
}

function bytesOf(value: unknown): Bytes {
  if (!(value instanceof Uint8Array)) throw new StoreError('corrupt');
  return asBytes(value);
}

/** SQLite's primary result codes that mean something to us; the rest is `unavailable`. */
const CODES = new Map<number, StoreErrorCode>([
  [5, 'in_use'],
  [6, 'in_use'],
  [11, 'corrupt'],
  [13, 'full'],
  [19, 'conflict'],
  [26, 'corrupt'],
]);

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof StoreError) throw error;
    if (!(error instanceof Error)) throw error;
    // A statement of a closed database is not SQLite's error but Node's.
    if ('code' in error && error.code === 'ERR_INVALID_STATE')
      throw new StoreError('unavailable', { cause: error });
    if (!('errcode' in error)) throw error;
    const primary = Number(error.errcode) & 0xff;
    throw new StoreError(CODES.get(primary) ?? 'unavailable', { cause: error });
  }
}
