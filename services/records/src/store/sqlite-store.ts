import { DatabaseSync } from 'node:sqlite';
import { asBytes, type Bytes } from '@cloister/bytes';
import type { LogEntry } from '@cloister/sealing';
import { type Batch, type Store, StoreError, type StoreErrorCode } from './store.ts';

/** How the database is opened. */
export interface SqliteOptions {
  /** Most pages of 4 KiB the file may have: a full disk, for tests and small volumes. */
  readonly maxPages?: number;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS entry (
    position INTEGER PRIMARY KEY, header BLOB NOT NULL, content BLOB NOT NULL, hash BLOB NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS key (id TEXT PRIMARY KEY, wrapped BLOB NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS request (enc BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  PRAGMA user_version = 1;
`;

/**
 * The embedded store: SQLite of Node itself, WAL, every commit synced to the disk
 * (`synchronous = FULL`), one process only (`locking_mode = EXCLUSIVE`, which also avoids a
 * shared-memory file in an enclave). Storage spec 2.3.
 */
export function openSqliteStore(file: string, options: SqliteOptions = {}): Store {
  const database = attempt(() => open(file, options));
  const statements = attempt(() => prepare(database));

  return {
    *entries() {
      for (const row of statements.all.iterate()) yield entryOf(row);
    },
    entry(position) {
      const row = attempt(() => statements.one.get(position));
      return row === undefined ? undefined : entryOf(row);
    },
    key(id) {
      const row = attempt(() => statements.key.get(id));
      return row === undefined ? undefined : bytesOf(row['wrapped']);
    },
    hasRequest: (request) => attempt(() => statements.request.get(request)) !== undefined,
    commit(batch) {
      attempt(() => {
        database.exec('BEGIN IMMEDIATE');
        try {
          write(statements, batch);
          database.exec('COMMIT');
        } catch (error) {
          // SQLite has rolled back by itself after some errors; a second rollback would fail.
          if (database.isTransaction) database.exec('ROLLBACK');
          throw error;
        }
      });
    },
    dropRequests: (before) => {
      attempt(() => statements.dropRequests.run(before));
    },
    close: () => database.close(),
  };
}

function open(file: string, { maxPages }: SqliteOptions): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 0 });
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
  return database;
}

function prepare(database: DatabaseSync) {
  return {
    all: database.prepare('SELECT position, header, content, hash FROM entry ORDER BY position'),
    one: database.prepare('SELECT position, header, content, hash FROM entry WHERE position = ?'),
    key: database.prepare('SELECT wrapped FROM key WHERE id = ?'),
    request: database.prepare('SELECT 1 FROM request WHERE enc = ?'),
    addEntry: database.prepare('INSERT INTO entry VALUES (?, ?, ?, ?)'),
    addKey: database.prepare('INSERT INTO key VALUES (?, ?)'),
    addRequest: database.prepare('INSERT INTO request VALUES (?, ?) ON CONFLICT DO NOTHING'),
    dropRequests: database.prepare('DELETE FROM request WHERE at < ?'),
  };
}

function write(statements: ReturnType<typeof prepare>, batch: Batch): void {
  for (const request of batch.requests) {
    const { changes } = statements.addRequest.run(request, batch.at);
    if (Number(changes) !== 1) throw new StoreError('replayed');
  }
  for (const { id, wrapped } of batch.keys) statements.addKey.run(id, wrapped);
  for (const { position, header, content, hash } of batch.entries)
    statements.addEntry.run(position, header, content, hash);
}

function entryOf(row: Record<string, unknown>): LogEntry {
  const position = row['position'];
  if (typeof position !== 'number') throw new StoreError('corrupt');
  return {
    position,
    header: bytesOf(row['header']),
    content: bytesOf(row['content']),
    hash: bytesOf(row['hash']),
  };
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
    if (!(error instanceof Error) || !('errcode' in error)) throw error;
    const primary = Number(error.errcode) & 0xff;
    throw new StoreError(CODES.get(primary) ?? 'unavailable', { cause: error });
  }
}
