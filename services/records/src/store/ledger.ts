import type { JsonObject } from '@cloister/bytes';
import {
  emptyLogHead,
  type LogHead,
  type Random,
  type SealingKey,
  TamperedError,
} from '@cloister/sealing';
import type { Store } from '@cloister/service';
import type { RestoreOrder } from '../restore/restore-order.ts';
import { AnchorKeeper } from './anchor-keeper.ts';
import { Directory } from './directory.ts';
import type { HeadAnchor } from './head-anchor.ts';
import { LedgerWriter } from './ledger-writer.ts';
import { LogKeys, type OwnKey } from './log-keys.ts';
import { LogReader } from './log-reader.ts';
import { type RewrapOptions, type Rewrapped, Rewrapper } from './rewrapper.ts';
import { RolledBackError } from './rolled-back-error.ts';
import type { CommitOptions, NewEntry, Stored } from './sealed-group.ts';
import type { TenantKey } from './tenant-keys.ts';
import { shareRuns, Watches } from './watches.ts';

/** What a ledger is opened with. */
export interface LedgerOptions {
  readonly store: Store;
  /** The deployment's name: part of every key and of the chain's beginning. */
  readonly tenant: string;
  /** First the one that wraps what is new; all the others open as well. */
  readonly tenantKeys: readonly TenantKey[];
  /** Gets the tenant keys anew, where a wrap names a version that is not here. */
  readonly renewKeys?: (() => Promise<readonly TenantKey[]>) | undefined;
  readonly random: Random;
  readonly now: () => Date;
  /** Whether other processes write to the same store: then this one follows what they write. */
  readonly shared?: boolean;
  /** How long a shared database that does not answer is waited for, milliseconds; 5000 unless told. */
  readonly patienceMs?: number;
  /** Where the head is kept besides the store, so that an older log is noticed. */
  readonly anchor?: HeadAnchor;
  /** The party's word that a log goes on which does not contain what was anchored. */
  readonly order?: Pick<RestoreOrder, 'from' | 'to'> | undefined;
  /** Something else to look at every two seconds: TamperedError where the data are not the same. */
  readonly watch?: (() => Promise<void>) | undefined;
  /** How long entries may stay without an anchor: milliseconds, or until the answer leaves. */
  readonly anchorWithin?: number | 'answer';
  /** Told of an anchor or a store that cannot be reached for now. */
  readonly onFailure?: (error: unknown) => void;
  /** Told once when the log is found changed while the service runs; nothing is served any more. */
  readonly onTampered?: (error: TamperedError) => void;
}

/** A hospital's data: the sealed log, and the directory in memory that finds its way in it. */
export interface Ledger {
  readonly directory: Directory;
  readonly tenant: string;
  readonly head: LogHead;
  /** Why nothing is served any more: the log was found changed. */
  readonly failure: TamperedError | undefined;
  /** Whether it goes on by the party's order, which is still to be recorded. */
  readonly isRestored: boolean;
  /**
   * Writes entries together with the request that asked for them; they are durable when it
   * resolves, all or none. Throws RefusedError `version_conflict` or `replayed`, StoreError.
   */
  commit(entries: readonly NewEntry[], options?: CommitOptions): Promise<readonly Stored[]>;
  /** The current or an older version; undefined where there is none. TamperedError where it was changed. */
  read(type: string, id: string, version?: number): Promise<JsonObject | undefined>;
  /** The key that seals a patient's record. */
  patientKey(patient: string): Promise<SealingKey>;
  /** One of the log's own keys, the same for all replicas. */
  ownKey(id: OwnKey): Promise<SealingKey>;
  /** Goes on with these tenant keys: the first wraps what is new from now on, all of them open. */
  useTenantKeys(keys: readonly TenantKey[]): void;
  /**
   * Wraps by the current tenant key what older ones wrap, and writes into the log when nothing is
   * left: from then on the older ones may be destroyed. May be asked for again and by all replicas.
   */
  rewrap(options?: RewrapOptions): Promise<Rewrapped>;
  /** Whether this request's effects are in the log already (design 5). */
  hasRequest(request: Uint8Array<ArrayBuffer>): Promise<boolean>;
  /** Takes in all that was acknowledged by any replica before this was called. */
  refresh(): Promise<void>;
  /** Calls back whenever the log has grown; gives the function that ends it. */
  onChange(listener: () => void): () => void;
  /** Calls back whenever this process has written something; gives the function that ends it. */
  onCommit(listener: () => void): () => void;
  close(): Promise<void>;
}

/** How soon what another replica wrote is seen here, without being asked. */
const FOLLOW_MS = 250;
/** How often a log that nobody else writes is looked at. */
const WATCH_MS = 2000;
const ANCHOR_WATCH_MS = 5000;
/** How long a database that does not answer is waited for: a server that starts again. */
const PATIENCE_MS = 5000;
const ANCHOR_MS = 1000;

/**
 * Opens the log and checks all of it: the chain, every seal, the anchored head. TamperedError
 * says at which position something is not what was written; then nothing is served.
 */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  const { store, tenant, random, now, anchor, shared = false } = options;
  const { onFailure = () => undefined, anchorWithin = ANCHOR_MS } = options;
  const directory = new Directory();
  const keys = new LogKeys({ ...options, lowestVersion: () => directory.rewrappedTo });
  const start = await emptyLogHead(tenant);
  const reader = new LogReader({ store, tenant, keys, directory, start });
  const anchored = await anchor?.read();
  await keys.ensureOwn(() => {
    // An order may say of all entries that they are given up: `begin` looks at it closely.
    if (anchored === undefined || anchored.value <= 1 || options.order?.to.value === 1) return;
    const isOwnAnchor = anchor?.reset !== undefined;
    throw new RolledBackError('log_truncated', { anchored, found: start, isOwnAnchor });
  });
  await reader.exclusive(() => reader.follow());
  await keys.checkRead();
  let isTold = false;
  const noticed = (error: unknown): void => {
    if (!(error instanceof TamperedError)) return onFailure(error);
    reader.fail(error);
    watches.stop();
    if (!isTold) options.onTampered?.(error);
    isTold = true;
  };
  const watches = new Watches(noticed);
  const keeper =
    anchor === undefined
      ? undefined
      : new AnchorKeeper({
          anchor,
          reader,
          directory,
          delayMs: anchorWithin === 'answer' ? 0 : anchorWithin,
          onFailure: noticed,
        });
  const isRestored = (await keeper?.begin(options.order)) ?? false;
  const beforeAnswer = anchorWithin === 'answer' && keeper !== undefined;
  if (!beforeAnswer) reader.onChange(() => keeper?.schedule());
  const committed = new Set<() => void>();
  const writer = new LedgerWriter({
    store,
    tenant,
    directory,
    reader,
    keys,
    random,
    now,
    patienceMs: shared ? (options.patienceMs ?? PATIENCE_MS) : 0,
    ...(beforeAnswer ? { afterCommit: () => keeper.push() } : {}),
    onCommit: () => {
      for (const listener of committed) listener();
    },
  });
  const rewrapper = new Rewrapper({ store, directory, keys, writer, now });
  const refresh = shareRuns(() => reader.refresh());
  watches.add(shared ? FOLLOW_MS : WATCH_MS, refresh);
  if (keeper !== undefined) watches.add(ANCHOR_WATCH_MS, () => keeper.check());
  if (options.watch !== undefined) watches.add(WATCH_MS, options.watch);

  return {
    directory,
    tenant,
    isRestored,
    get head() {
      return reader.head;
    },
    get failure() {
      return reader.failure;
    },
    commit: (entries, commitOptions) => writer.commit(entries, commitOptions),
    read: (type, id, version) => reader.read(type, id, version),
    patientKey: (patient) => keys.get(directory.patientKey(patient) ?? ''),
    ownKey: (id) => keys.get(id),
    useTenantKeys: (tenantKeys) => keys.tenantKeys.use(tenantKeys),
    async rewrap(rewrapOptions) {
      reader.check();
      try {
        return await rewrapper.run(rewrapOptions);
      } catch (error) {
        if (error instanceof TamperedError) noticed(error);
        throw error;
      }
    },
    hasRequest: (request) => store.hasMarker(request),
    async refresh() {
      reader.check();
      if (shared) await refresh();
    },
    onChange: (listener) => reader.onChange(listener),
    onCommit: (listener) => {
      committed.add(listener);
      return () => committed.delete(listener);
    },
    async close() {
      watches.stop();
      await rewrapper.stop();
      await writer.idle();
      await keeper?.close().catch(onFailure);
      await store.close();
    },
  };
}
