/** One store for several ledgers of a test, as a database server is. Not part of the service. */
import { randomBytes } from 'node:crypto';
import type { Bytes } from '@cloister/bytes';
import { openSqliteStore, type Store, StoreError } from '@cloister/service';
import type { Anchored, HeadAnchor } from '../src/store/head-anchor.ts';
import { type Ledger, type LedgerOptions, openLedger } from '../src/store/ledger.ts';
import type { NewEntry, Stored } from '../src/store/sealed-group.ts';
import { testTenantKey } from './test-tenant-key.ts';

/** Random bytes. */
export const random = (length: number): Bytes => new Uint8Array(randomBytes(length));
const tenantKeys = [await testTenantKey()];

/** A server in memory. */
export interface MemoryServer {
  readonly store: Store;
  /** A connection, which may be closed by itself. */
  connect(changes?: (store: Store) => Partial<Store>): Store;
  /** A connection whose every call asks where it goes. */
  lead(to: () => Store): Store;
}

/** Starts a server in memory. */
export function memoryServer(store: Store = openSqliteStore(':memory:')): MemoryServer {
  return {
    store,
    connect: (changes = () => ({})) => ({
      ...store,
      close: () => Promise.resolve(),
      ...changes(store),
    }),
    lead: (to) => ({
      head: async () => to().head(),
      entries: (from) => to().entries(from),
      entry: async (position) => to().entry(position),
      value: async (key) => to().value(key),
      keys: async (prefix) => to().keys(prefix),
      hasMarker: async (marker) => to().hasMarker(marker),
      commit: async (batch) => to().commit(batch),
      forget: async (at) => to().forget(at),
      close: () => Promise.resolve(),
    }),
  };
}

/** A copy of what a store holds now, as a host makes it. */
export async function copyStore(store: Store): Promise<Store> {
  const copy = openSqliteStore(':memory:');
  const values = await Promise.all(
    (await store.keys('')).map(async (key) => {
      const { value } = await store.value(key);
      return { key, version: 0, value };
    }),
  );
  const entries = [];
  for await (const entry of store.entries()) entries.push(entry);
  const after = { position: 0, hash: new Uint8Array(0) };
  await copy.commit({ values, ...(entries.length > 0 ? { append: { after, entries } } : {}) });
  return copy;
}

/** An anchor that all replicas share. */
export function memoryAnchor(): { readonly anchor: HeadAnchor; kept: () => Anchored | undefined } {
  let kept: Anchored | undefined;
  const anchor: HeadAnchor = {
    read: () => Promise.resolve(kept),
    advance: async (before, next) => {
      if (kept?.value !== before?.value) return false;
      kept = next;
      return true;
    },
  };
  return { anchor, kept: () => kept };
}

/** A replica's ledger. */
export function openReplica(store: Store, options: Partial<LedgerOptions> = {}): Promise<Ledger> {
  const rest = { tenant: 'lamna', tenantKeys, random, now: () => new Date(), shared: true };
  return openLedger({ ...rest, ...options, store });
}

/** What a connection that breaks says. */
export const unavailable = (): StoreError => new StoreError('unavailable');

/** Ends them, one after the other. */
export async function close(...ledgers: readonly Ledger[]): Promise<void> {
  for (const ledger of ledgers) await ledger.close();
}

/** A patient, as an entry of the log. */
export const patientEntry = (id: string, family = 'Zhang'): NewEntry => ({
  type: 'Patient',
  id,
  patient: id,
  content: { resourceType: 'Patient', id, name: [{ family }] },
});

/** Admits a patient. */
export const addPatient = (
  ledger: Ledger,
  id: string,
  family?: string,
): Promise<readonly Stored[]> => ledger.commit([{ ...patientEntry(id, family), follows: 0 }]);

/** The ids of all patients, in the order in which they came. */
export const patientIds = ({ directory }: Ledger): string[] =>
  [...directory.all('Patient')].map(({ id }) => id);

/** Waits. */
export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
