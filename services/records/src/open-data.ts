import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Random, TamperedError } from '@cloister/sealing';
import { openPostgresStore, openSqliteStore, type Store } from '@cloister/service';
import type { RestoreOrder } from './restore/restore-order.ts';
import { openBlobFolder } from './store/blob-folder.ts';
import { watchFile } from './store/file-watch.ts';
import type { HeadAnchor } from './store/head-anchor.ts';
import { createImageVault, type ImageVault } from './store/image-vault.ts';
import { type Ledger, openLedger } from './store/ledger.ts';
import type { TenantKey } from './store/tenant-keys.ts';
import { upgradeDatabase } from './store/upgrade-database.ts';

/** Where the data of a deployment are, and what they are opened with. */
export interface DataOptions {
  /** The folder of this process: database and blobs, unless they are elsewhere. */
  readonly folder: string;
  /** A PostgreSQL server that replicas share: its URL, or the folder of its UNIX socket. */
  readonly postgres?: string | undefined;
  /** The folder of the blobs, which replicas share. */
  readonly blobs?: string | undefined;
  /** Most pages of 4 KiB that an embedded database may have. */
  readonly maxPages?: number | undefined;
  readonly tenant: string;
  /** The tenant keys, first the one that wraps what is new. */
  readonly tenantKeys: readonly TenantKey[];
  /** Gets them anew, where another replica wraps by one that is not here. */
  readonly renewKeys?: (() => Promise<readonly TenantKey[]>) | undefined;
  readonly anchor: HeadAnchor;
  readonly anchorWithin: number | 'answer';
  /** The party's word on a log that does not contain what was anchored. */
  readonly order?: RestoreOrder | undefined;
  readonly random: Random;
  readonly now: () => Date;
  readonly onFailure: (error: unknown) => void;
  readonly onTampered: (error: TamperedError) => void;
}

/** The data of a hospital, opened and checked. */
export interface OpenedData {
  readonly ledger: Ledger;
  readonly vault: ImageVault;
  close(): Promise<void>;
}

/** Marks of requests whose time is over are dropped so often. */
const FORGET_MS = 3600_000;
const SCHEMA = 'records';
const DATABASE = 'records.db';
/** Enough for reads side by side; commits come one after the other. */
const CONNECTIONS = 5;

/** Opens the log and the blobs. TamperedError where they are not what was written. */
export async function openData(options: DataOptions): Promise<OpenedData> {
  const { folder, postgres, random, now, onFailure } = options;
  const store = await openDatabase(options);
  try {
    const shared = postgres !== undefined;
    const watch = shared ? undefined : watchFile(join(folder, DATABASE));
    const ledger = await openLedger({ ...options, store, shared, watch });
    const vault = createImageVault({
      blobs: openBlobFolder(options.blobs ?? join(folder, 'blobs')),
      ledger,
      random,
    });
    const forget = (): void => {
      store.forget(now().getTime()).catch(onFailure);
    };
    forget();
    const timer = setInterval(forget, FORGET_MS).unref();
    const close = async (): Promise<void> => {
      clearInterval(timer);
      await ledger.close();
    };
    return { ledger, vault, close };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function openDatabase({ folder, postgres, maxPages }: DataOptions): Promise<Store> {
  if (postgres !== undefined)
    return openPostgresStore({ url: postgres, schema: SCHEMA, connections: CONNECTIONS });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, DATABASE);
  upgradeDatabase(file);
  return openSqliteStore(file, maxPages === undefined ? {} : { maxPages });
}
