/**
 * Databases whose wraps are written anew, SQLite and PostgreSQL, for the tests of tenant keys. Not
 * part of the service.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import type { Bytes } from '@cloister/bytes';
import { TamperedError } from '@cloister/sealing';
import { openPostgresStore, type Store } from '@cloister/service';
import {
  type PostgresServer,
  postgresMissing,
  startPostgres,
} from '../../../packages/service/src/store/postgres-server.test.ts';
import type { Ledger, LedgerOptions } from '../src/store/ledger.ts';
import { addPatient, memoryServer, openReplica } from './test-replicas.ts';
import { testTenantKey } from './test-tenant-key.ts';

export const [one, two, three] = [
  await testTenantKey(1),
  await testTenantKey(2),
  await testTenantKey(3),
];
/** The second tenant key wraps; the first opens. */
export const BOTH = [two, one];

/** A database, as its host has it. */
export interface Database {
  readonly store: Store;
  connect(changes: Partial<Store>): Promise<Store>;
}

/** A kind of database that all must work with. */
export interface DatabaseKind {
  readonly kind: string;
  /** Why it is left out here. */
  readonly skip: string | false;
  make(): Promise<Database>;
}

const sqlite = async (): Promise<Database> => {
  const { store, ...server } = memoryServer();
  return { store, connect: async (changes) => server.connect(() => changes) };
};

/** Both kinds; what they need is started and ended by the hooks of the test file that asks. */
export function databaseKinds(): readonly DatabaseKind[] {
  let postgres: PostgresServer | undefined;
  let schemas = 0;
  const opened: Store[] = [];
  before(() => {
    if (postgresMissing === false) postgres = startPostgres();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
  });
  after(() => postgres?.remove());
  const server = async (): Promise<Database> => {
    const options = { url: postgres?.url ?? '', schema: `s${++schemas}`, connections: 2 };
    const connect = async (changes: Partial<Store>) => {
      const store = await openPostgresStore(options);
      opened.push(store);
      return { ...store, ...changes };
    };
    return { store: await connect({}), connect };
  };
  return [
    { kind: 'SQLite', skip: false, make: sqlite },
    { kind: 'PostgreSQL', skip: postgresMissing, make: server },
  ];
}

/** A replica on such a database, with a connection that does some things otherwise. */
export async function open(
  database: Database,
  options: Partial<LedgerOptions> = {},
  changes: Partial<Store> = {},
): Promise<Ledger> {
  const store = await database.connect(changes);
  return openReplica(store, { tenantKeys: BOTH, ...options });
}

/** A database with these patients, in which all is wrapped by the first tenant key. */
export async function written(kind: DatabaseKind, patients: readonly string[]): Promise<Database> {
  const database = await kind.make();
  const ledger = await open(database, { tenantKeys: [one] });
  await Promise.all(patients.map((id) => add(ledger, id)));
  await ledger.close();
  return database;
}

/** Admits a patient. */
export const add = (ledger: Ledger, id: string): Promise<unknown> =>
  addPatient(ledger, id, `Name of ${id}`);

export async function assertReadable(ledger: Ledger, patients: readonly string[]): Promise<void> {
  await ledger.refresh();
  for (const id of patients)
    assert.deepEqual((await ledger.read('Patient', id))?.['name'], [{ family: `Name of ${id}` }]);
}

/** Reads all of them with the second tenant key only. */
export async function assertReadableByTwo(
  database: Database,
  patients: readonly string[],
): Promise<void> {
  const ledger = await open(database, { tenantKeys: [two] });
  await assertReadable(ledger, patients);
  assert.ok(await ledger.ownKey('cursor'));
  await ledger.close();
}

/** Under which key of the store a patient's key stands. */
export const placeOf = (ledger: Ledger, patient: string): string =>
  `key/${ledger.directory.patientKey(patient)}`;

/** What a host can do: put any value in the place of another, or none. */
export async function put({ store }: Database, key: string, value?: Bytes): Promise<void> {
  const { version } = await store.value(key);
  await store.commit({ values: [{ key, version, value }] });
}

export async function valueOf({ store }: Database, key: string): Promise<Bytes> {
  const { value } = await store.value(key);
  assert.ok(value);
  return value;
}

/** The versions of the tenant key that the wraps name. */
export async function wrapVersions(database: Database): Promise<number[]> {
  const keys = await database.store.keys('key/');
  const values = await Promise.all(keys.map((key) => valueOf(database, key)));
  return values.map((value) => new DataView(value.buffer, value.byteOffset).getUint32(1));
}

/** An error that says so of a wrapped key. */
export const tampered =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof TamperedError && error.code === code && error.where === 'a wrapped key';
