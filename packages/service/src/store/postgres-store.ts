import type { Pool, PoolClient, QueryResult } from 'pg';
import { copyBytes, type Bytes } from '@cloister/bytes';
import { errorCode } from '../log.ts';
import { checkBatch, type Batch, type Store, type StoreEntry } from './store.ts';
import { StoreError, type StoreErrorCode } from './store-error.ts';

/** Where the database is. */
export interface PostgresStoreOptions {
  /** `postgres://user@host/database`, or with `?host=<folder>` a UNIX socket. */
  readonly url: string;
  /** One store per schema: lower-case letters, digits, underscores. `cloister` unless told. */
  readonly schema?: string;
  /** Connections that this process opens; 4 unless told. */
  readonly connections?: number;
  /** How long a statement may take; 10 s unless told. */
  readonly timeoutMs?: number;
}

/** How many entries are read at once. */
const PAGE = 256;

/**
 * The store on a PostgreSQL server, which several processes may share: the head's row orders their
 * commits. Every transaction is on the server's disk before it is answered
 * (`synchronous_commit = on`). Throws StoreError, `unavailable` where the server cannot be reached.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const { url, schema = 'cloister', connections = 4, timeoutMs = 10_000 } = options;
  if (!/^[a-z][a-z0-9_]{0,40}$/.test(schema)) throw new RangeError('schema: not a name');
  // Only who is configured for a server loads its driver.
  const { Pool: ConnectionPool } = await import('pg');
  const pool = new ConnectionPool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: timeoutMs,
    statement_timeout: timeoutMs,
    // Beyond the server's own limit: only for a server that no longer says anything.
    query_timeout: timeoutMs + 2000,
    options: `-c search_path=${schema} -c synchronous_commit=on`,
  });
  // An idle connection that breaks is replaced by the next query; without this it ends the process.
  pool.on('error', () => undefined);
  try {
    await transaction(pool, (client) => createTables(client, schema));
  } catch (error) {
    await pool.end();
    throw error;
  }
  const query = (text: string, values: unknown[] = []): Promise<Rows> =>
    attempt(async () => rowsOf(await pool.query(text, values)));
  const page = async (from: number): Promise<StoreEntry[]> =>
    (await query(`${ENTRY} WHERE position >= $1 ORDER BY position LIMIT $2`, [from, PAGE])).map(
      entryOf,
    );
  let closed = false;
  return {
    head: async () => {
      const [row = {}] = await query('SELECT position, hash FROM head');
      return { position: numberOf(row['position']), hash: bytesOf(row['hash']) };
    },
    async *entries(from = 1) {
      let at = from;
      for (let rows = await page(at); rows.length > 0; ) {
        yield* rows;
        at += rows.length;
        // A page that is not full was the last: who follows the log asks often.
        rows = rows.length < PAGE ? [] : await page(at);
      }
    },
    entry: async (position) => {
      const [row] = await query(`${ENTRY} WHERE position = $1`, [position]);
      return row === undefined ? undefined : entryOf(row);
    },
    value: async (key) => {
      const [row] = await query('SELECT version, value FROM value WHERE key = $1', [key]);
      if (row === undefined) return { version: 0, value: undefined };
      const value = row['value'] === null ? undefined : bytesOf(row['value']);
      return { version: numberOf(row['version']), value };
    },
    keys: async (prefix) => {
      const rows = await query(
        'SELECT key FROM value WHERE starts_with(key, $1) AND value IS NOT NULL ORDER BY key',
        [prefix],
      );
      return rows.map((row) => textOf(row['key']));
    },
    hasMarker: async (marker) =>
      (await query('SELECT 1 FROM marker WHERE marker = $1', [marker])).length > 0,
    commit: async (batch) => {
      checkBatch(batch);
      await transaction(pool, (client) => write(client, batch));
    },
    forget: async (at) => {
      await query('DELETE FROM marker WHERE until <= $1', [at]);
    },
    close: async () => {
      if (!closed) await pool.end();
      closed = true;
    },
  };
}

const ENTRY = 'SELECT position, hash, header, content FROM entry';

async function createTables(client: PoolClient, schema: string): Promise<void> {
  // Two processes that start at once would both find nothing; the lock lets one of them create.
  await client.query("SELECT pg_advisory_xact_lock(hashtext('cloister store'))");
  await client.query(`
    CREATE SCHEMA IF NOT EXISTS ${schema};
    CREATE TABLE IF NOT EXISTS ${schema}.entry (
      position bigint PRIMARY KEY, hash bytea NOT NULL, header bytea NOT NULL,
      content bytea NOT NULL
    );
    CREATE TABLE IF NOT EXISTS ${schema}.head (
      one boolean PRIMARY KEY CHECK (one), position bigint NOT NULL, hash bytea NOT NULL
    );
    CREATE TABLE IF NOT EXISTS ${schema}.value (
      key text COLLATE "C" PRIMARY KEY, version bigint NOT NULL, value bytea
    );
    CREATE TABLE IF NOT EXISTS ${schema}.marker (marker bytea PRIMARY KEY, until bigint NOT NULL);
    INSERT INTO ${schema}.head VALUES (true, 0, ''::bytea) ON CONFLICT DO NOTHING;
  `);
}

async function write(client: PoolClient, batch: Batch): Promise<void> {
  const { append, values = [], markers = [] } = batch;
  const expectOne = async (code: 'conflict' | 'replayed', text: string, args: unknown[]) => {
    if ((await client.query(text, args)).rowCount !== 1) throw new StoreError(code);
  };
  if (append !== undefined) {
    // Of two processes the second waits here for the first, and then finds another head.
    const { after, entries } = append;
    const last = entries.at(-1) ?? after;
    await expectOne(
      'conflict',
      'UPDATE head SET position = $1, hash = $2 WHERE position = $3 AND hash = $4',
      [last.position, last.hash, after.position, after.hash],
    );
  }
  if (markers.length > 0) {
    const text = `INSERT INTO marker SELECT * FROM unnest($1::bytea[], $2::bigint[])
      ON CONFLICT DO NOTHING`;
    const { rowCount } = await client.query(text, [
      markers.map(({ marker }) => marker),
      markers.map(({ until }) => until),
    ]);
    if (rowCount !== markers.length) throw new StoreError('replayed');
  }
  // In one order in all processes, so that none waits for another in a circle.
  for (const { key, version, value = null } of values.toSorted((a, b) => (a.key < b.key ? -1 : 1)))
    await (version === 0
      ? expectOne('conflict', 'INSERT INTO value VALUES ($1, 1, $2) ON CONFLICT DO NOTHING', [
          key,
          value,
        ])
      : expectOne(
          'conflict',
          'UPDATE value SET version = version + 1, value = $1 WHERE key = $2 AND version = $3',
          [value, key, version],
        ));
  const { entries = [] } = append ?? {};
  // One statement for all of them: a group of commits is written in as few turns as one alone.
  if (entries.length > 0)
    await client.query(
      'INSERT INTO entry SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[])',
      [
        entries.map(({ position }) => position),
        entries.map(({ hash }) => hash),
        entries.map(({ header }) => header),
        entries.map(({ content }) => content),
      ],
    );
}

function transaction(pool: Pool, work: (client: PoolClient) => Promise<void>): Promise<void> {
  return attempt(async () => {
    const client = await pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      await work(client);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch((cause: unknown) => {
        broken = new StoreError('unavailable', { cause });
      });
      throw error;
    } finally {
      // A connection that cannot even roll back is thrown away.
      client.release(broken);
    }
  });
}

type Rows = readonly Record<string, unknown>[];

function rowsOf({ rows }: QueryResult<Record<string, unknown>>): Rows {
  return rows;
}

function entryOf(row: Record<string, unknown>): StoreEntry {
  return {
    position: numberOf(row['position']),
    hash: bytesOf(row['hash']),
    header: bytesOf(row['header']),
    content: bytesOf(row['content']),
  };
}

/** The driver gives bigint as text; all of ours are safe integers. */
function numberOf(value: unknown): number {
  const number = typeof value === 'string' ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw new StoreError('corrupt');
  return number;
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new StoreError('corrupt');
  return value;
}

function bytesOf(value: unknown): Bytes {
  if (!(value instanceof Uint8Array)) throw new StoreError('corrupt');
  // Out of the driver's own buffer, which holds other rows too.
  return copyBytes(value);
}

/** What the server's codes (SQLSTATE) mean to us; all others are `unavailable`. */
function codeOf(error: unknown): StoreErrorCode {
  const state = errorCode(error);
  if (/^(?:53100|53400|54000)$/.test(state)) return 'full';
  if (/^(?:23505|40001|40P01)$/.test(state)) return 'conflict';
  return /^XX00[12]$/.test(state) ? 'corrupt' : 'unavailable';
}

async function attempt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StoreError || error instanceof RangeError) throw error;
    throw new StoreError(codeOf(error), { cause: error });
  }
}
