/** Ledgers in files, embedded databases as they are by default, for tests. Not part of the service. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { openSqliteStore, type SqliteStoreOptions } from '@cloister/service';
import type { Ledger, LedgerOptions } from '../src/store/ledger.ts';
import { openReplica } from './test-replicas.ts';

/** Where the databases are: gone when the test file ends. */
export const folder = mkdtempSync(join(tmpdir(), 'cloister-records-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A file that is not there yet. */
export const newFile = (): string => join(folder, `${randomUUID()}.db`);

/** Opens the ledger of a file. */
export async function openFile(
  options: Partial<Pick<LedgerOptions, 'anchor' | 'tenantKeys'>> &
    SqliteStoreOptions & { readonly file?: string } = {},
): Promise<Ledger> {
  const { file = newFile(), maxPages, ...others } = options;
  const store = openSqliteStore(file, maxPages === undefined ? {} : { maxPages });
  try {
    return await openReplica(store, { ...others, shared: false });
  } catch (error) {
    await store.close();
    throw error;
  }
}
