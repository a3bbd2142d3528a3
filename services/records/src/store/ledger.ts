import { type Bytes, decodeUtf8, type JsonObject, parseJsonObject } from '@cloister/bytes';
import {
  checkAnchor,
  checkEntry,
  createWrappedKey,
  emptyLogHead,
  type EntryHeader,
  type LogEntry,
  type LogHead,
  openEntryContent,
  openEntryHeader,
  type Random,
  type SealingKey,
  TamperedError,
  unwrapKey,
} from '@cloister/sealing';
import { Directory, type Known } from './directory.ts';
import type { HeadAnchor } from './head-anchor.ts';
import { LedgerWriter, type CommitOptions, type NewEntry, type Stored } from './ledger-writer.ts';
import type { Store } from './store.ts';

/** What a ledger is opened with. */
export interface LedgerOptions {
  readonly store: Store;
  /** The deployment's name: part of every key and of the chain's beginning. */
  readonly tenant: string;
  readonly tenantKey: SealingKey;
  readonly random: Random;
  readonly now: () => Date;
  /** Where the head is kept besides the store, so that a shortened log is noticed. */
  readonly anchor?: HeadAnchor;
  /** Told of a failed write of the anchor; the log itself is not affected. */
  readonly onAnchorFailure?: (error: unknown) => void;
}

/** A hospital's data: the sealed log, and the directory in memory that finds its way in it. */
export interface Ledger {
  readonly directory: Directory;
  readonly tenant: string;
  readonly head: LogHead;
  /**
   * Writes entries together with the request that asked for them; they are durable when it
   * resolves, all or none. Throws RefusedError `version_conflict` or `replayed`, StoreError.
   */
  commit(entries: readonly NewEntry[], options?: CommitOptions): Promise<readonly Stored[]>;
  /** The current or an older version; undefined where there is none. TamperedError where it was changed. */
  read(type: string, id: string, version?: number): Promise<JsonObject | undefined>;
  /** The key that seals a patient's record. */
  patientKey(patient: string): Promise<SealingKey>;
  /** Whether this request's effects are in the log already (design 5). */
  hasRequest(request: Uint8Array<ArrayBuffer>): boolean;
  /** Calls back after each commit; gives the function that ends it. */
  onCommit(listener: () => void): () => void;
  close(): Promise<void>;
}

/** An entry that was opened and is not in the directory yet. */
interface Opened {
  readonly header: EntryHeader;
  readonly content: JsonObject;
  readonly position: number;
}

const OPENED_AT_ONCE = 256;
const LOG_KEY = 'log';
const SERVICE_KEY = 'service';

/**
 * Opens the log and checks all of it: the chain, every seal, the anchored head. TamperedError
 * says at which position something is not what was written; then nothing is served.
 */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  const { store, tenant, tenantKey, random, now, anchor } = options;
  const directory = new Directory();
  const keys = new Map<string, SealingKey>();
  const keyOf = async (id: string): Promise<SealingKey> => {
    const known = keys.get(id);
    if (known !== undefined) return known;
    const wrapped = store.key(id);
    if (wrapped === undefined) throw new TamperedError('entry_missing', 'a wrapped key');
    const key = await unwrapKey(tenantKey, tenant, id, wrapped);
    keys.set(id, key);
    return key;
  };

  const start = await emptyLogHead(tenant);
  directory.noteHash(0, start.hash);
  const anchored = await anchor?.read();
  await makeServiceKeys(options, keys, anchored);
  const logKey = await keyOf(LOG_KEY);
  const entryKeys = { tenant, logKey };

  let head = start;
  const opened = async (entry: LogEntry, previous: Bytes): Promise<Opened> => {
    const header = await openEntryHeader(entryKeys, entry, previous);
    const keysOf = { tenant, contentKey: await keyOf(header.key) };
    const content = await openEntryContent(keysOf, header, entry, previous);
    return { header, content: readContent(content), position: entry.position };
  };
  let waiting: Promise<Opened>[] = [];
  const take = async (): Promise<void> => {
    const batch = await Promise.all(waiting);
    waiting = [];
    for (const { header, content, position } of batch)
      directory.apply(header, content, position, timeOf(content));
  };
  // The chain is checked in order; the seals of a batch are opened side by side.
  for (const entry of store.entries()) {
    const previous = head.hash;
    head = await checkEntry(entry, head);
    directory.noteHash(entry.position, head.hash);
    const next = opened(entry, previous);
    // Awaited with its batch; without this, Node ends the process over a promise nobody looked at.
    next.catch(() => undefined);
    waiting.push(next);
    if (waiting.length === OPENED_AT_ONCE) await take();
  }
  await take();
  if (anchored !== undefined) checkAnchor(head, anchored, (at) => directory.hashAt(at));

  const writer = new LedgerWriter({
    store,
    tenant,
    logKey,
    directory,
    head,
    random,
    now,
    keyFor: (patient) =>
      patient === undefined ? keyOf(SERVICE_KEY) : keyOf(directory.patientKey(patient) ?? ''),
    newKey: async (id) => {
      const made = await createWrappedKey(tenantKey, tenant, id, random);
      return { ...made, keep: () => keys.set(id, made.key) };
    },
    ...(anchor === undefined ? {} : { anchor }),
    onAnchorFailure: options.onAnchorFailure ?? (() => undefined),
  });

  return {
    directory,
    tenant,
    get head() {
      return writer.head;
    },
    commit: (entries, commitOptions) => writer.commit(entries, commitOptions),
    async read(type, id, version) {
      const known = directory.find(type, id);
      const position = known?.positions.at(version === undefined ? -1 : version - 1);
      if (known === undefined || position === undefined || version === 0) return undefined;
      const entry = checkedRow(store, directory, position);
      const header = headerOf(known, position);
      const contentKey = await keyOf(known.key);
      const previous = directory.hashAt(position - 1) ?? start.hash;
      await checkEntry(entry, { position: position - 1, hash: previous });
      return readContent(await openEntryContent({ tenant, contentKey }, header, entry, previous));
    },
    patientKey: (patient) => keyOf(directory.patientKey(patient) ?? ''),
    hasRequest: (request) => store.hasRequest(request),
    onCommit: (listener) => writer.onCommit(listener),
    close: () => writer.close(),
  };
}

/** The log's own keys, made with the first entry ever; a log that lost them is not begun anew. */
async function makeServiceKeys(
  { store, tenant, tenantKey, random, now }: LedgerOptions,
  keys: Map<string, SealingKey>,
  anchored: LogHead | undefined,
): Promise<void> {
  if (store.key(LOG_KEY) !== undefined) return;
  if (anchored !== undefined && anchored.position > 0)
    throw new TamperedError('log_truncated', `log entry ${anchored.position}`);
  const made = await Promise.all(
    [LOG_KEY, SERVICE_KEY].map((id) => createWrappedKey(tenantKey, tenant, id, random)),
  );
  const rows = made.map(({ key, wrapped }) => ({ id: key.id, wrapped }));
  store.commit({ entries: [], keys: rows, requests: [], at: now().getTime() });
  for (const { key } of made) keys.set(key.id, key);
}

/** A row that is the one the directory knows: a stale, swapped or missing one is noticed here. */
function checkedRow(store: Store, directory: Directory, position: number): LogEntry {
  const where = `log entry ${position}`;
  const entry = store.entry(position);
  if (entry === undefined) throw new TamperedError('entry_missing', where);
  const hash = directory.hashAt(position);
  if (hash === undefined || !hash.every((byte, i) => byte === entry.hash[i]))
    throw new TamperedError('entry_replaced', where);
  return entry;
}

const headerOf = ({ type, id, key, positions }: Known, position: number): EntryHeader => ({
  type,
  id,
  version: positions.indexOf(position) + 1,
  key,
});

const readContent = (bytes: Uint8Array): JsonObject =>
  parseJsonObject(decodeUtf8(bytes, 'log entry'), 'log entry', { maxDepth: 80 });

/** When an entry was written, as it says itself. */
function timeOf(content: JsonObject): number {
  const meta = content['meta'];
  const updated =
    typeof meta === 'object' && meta !== null && !Array.isArray(meta)
      ? meta['lastUpdated']
      : undefined;
  return typeof updated === 'string' ? Date.parse(updated) : 0;
}
