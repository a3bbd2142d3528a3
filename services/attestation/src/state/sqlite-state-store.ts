import { createHash } from 'node:crypto';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Bytes } from '@cloister/bytes';
import { ConfigError } from '@cloister/service';
import type { AuditRecord, ChainedRecord, StateStore } from './state-store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS document (
    name TEXT PRIMARY KEY, version INTEGER NOT NULL, value TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS audit (
    position INTEGER PRIMARY KEY, time INTEGER NOT NULL, actor TEXT NOT NULL,
    operation TEXT NOT NULL, subject TEXT NOT NULL, digest TEXT NOT NULL, outcome TEXT NOT NULL,
    hash TEXT NOT NULL
  ) STRICT;
`;
const SIGNERS = 'signers';
const ROTATION = 'rotation';

/** State in a SQLite file, or in memory: then it lives for one run. */
export function openSqliteStateStore(file: string | undefined): StateStore {
  const database = open(file ?? ':memory:');
  const sql = {
    get: database.prepare('SELECT version, value FROM document WHERE name = ?'),
    insert: database.prepare('INSERT OR IGNORE INTO document VALUES (?, 1, ?)'),
    update: database.prepare(
      'UPDATE document SET version = version + 1, value = ?2 WHERE name = ?1 AND version = ?3',
    ),
    last: database.prepare('SELECT position, hash FROM audit ORDER BY position DESC LIMIT 1'),
    append: database.prepare('INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
    list: database.prepare('SELECT * FROM audit WHERE position > ? ORDER BY position LIMIT ?'),
  };
  const read = (name: string): { version: number; value: string | undefined } => {
    const row = sql.get.get(name);
    const value = row?.['value'];
    return {
      version: Number(row?.['version'] ?? 0),
      value: typeof value === 'string' ? value : undefined,
    };
  };
  const write = (
    name: string,
    value: string | null,
    expected: number,
    record: AuditRecord | undefined,
  ): Promise<boolean> =>
    transact(database, () => {
      const { changes } =
        expected === 0 ? sql.insert.run(name, value) : sql.update.run(name, value, expected);
      if (Number(changes) !== 1) return false;
      if (record !== undefined) append(sql, record);
      return true;
    });
  return {
    policy: (type) => Promise.resolve(read(`policy/${type}`)),
    setPolicy: (type, jws, expected, record) =>
      write(`policy/${type}`, jws ?? null, expected, record),
    signers: () => {
      const { version, value } = read(SIGNERS);
      return Promise.resolve({ version, value: value === undefined ? value : decodeList(value) });
    },
    setSigners: (certificates, expected, record) =>
      write(SIGNERS, encodeList(certificates), expected, record),
    rotation: () => Promise.resolve(read(ROTATION).version),
    claimRotation: (expected, record) => write(ROTATION, null, expected, record),
    record: (record) => transact(database, () => append(sql, record)),
    records: (after, most) =>
      Promise.resolve(
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the columns of our table
        sql.list.all(after, most).map((row) => ({ ...row }) as unknown as ChainedRecord),
      ),
    close: () => database.close(),
  };
}

function open(file: string): DatabaseSync {
  try {
    const database = new DatabaseSync(file, { timeout: 2000 });
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA trusted_schema = OFF;
    `);
    database.exec(SCHEMA);
    return database;
  } catch (error) {
    throw new ConfigError('data: the state cannot be opened', { cause: error });
  }
}

function transact<T>(database: DatabaseSync, work: () => T): Promise<T> {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return Promise.resolve(result);
  } catch (error) {
    // SQLite has rolled back by itself after some errors; a second rollback would fail.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function append(
  sql: { readonly last: StatementSync; readonly append: StatementSync },
  record: AuditRecord,
): void {
  const last = sql.last.get();
  const position = Number(last?.['position'] ?? 0) + 1;
  const before = last?.['hash'];
  const { time, actor, operation, subject, digest, outcome } = record;
  const hash = chainHash(typeof before === 'string' ? before : '', position, record);
  sql.append.run(position, time, actor, operation, subject, digest, outcome, hash);
}

/** The hash of a record at a position, after the record with that hash. */
export function chainHash(before: string, position: number, record: AuditRecord): string {
  const { time, actor, operation, subject, digest, outcome } = record;
  const line = JSON.stringify([position, time, actor, operation, subject, digest, outcome]);
  return createHash('sha256').update(`${before}\n${line}`).digest('hex');
}

function encodeList(certificates: readonly Bytes[]): string {
  return JSON.stringify(certificates.map((der) => Buffer.from(der).toString('base64')));
}

function decodeList(text: string): Bytes[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by encodeList
  const list = JSON.parse(text) as string[];
  return list.map((base64) => new Uint8Array(Buffer.from(base64, 'base64')));
}
