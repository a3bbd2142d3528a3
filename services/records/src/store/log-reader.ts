import {
  type Bytes,
  decodeUtf8,
  equalBytes,
  type JsonObject,
  parseJsonObject,
} from '@cloister/bytes';
import {
  checkEntry,
  type EntryHeader,
  type LogEntry,
  type LogHead,
  openEntryContent,
  openEntryHeader,
  TamperedError,
} from '@cloister/sealing';
import type { Store } from '@cloister/service';
import type { Directory, Known } from './directory.ts';
import type { LogKeys } from './log-keys.ts';

/** What a reader works with. */
export interface LogReaderOptions {
  readonly store: Store;
  readonly tenant: string;
  readonly keys: LogKeys;
  readonly directory: Directory;
  /** The head of the empty log. */
  readonly start: LogHead;
}

/** An entry that is written, and that the directory does not know yet. */
export interface Opened {
  readonly header: EntryHeader;
  readonly content: JsonObject;
  readonly position: number;
  readonly hash: Bytes;
}

const OPENED_AT_ONCE = 256;

/**
 * Follows the log: what the store holds behind the known head is checked (the chain, every seal),
 * opened, and taken into the directory. Once something there is not what was written, it says so
 * for ever: nothing of a log that somebody else changed is served.
 */
export class LogReader {
  readonly #options: LogReaderOptions;
  readonly #listeners = new Set<() => void>();
  #head: LogHead;
  #busy: Promise<unknown> = Promise.resolve();
  #failure: TamperedError | undefined;

  constructor(options: LogReaderOptions) {
    this.#options = options;
    this.#head = options.start;
    options.directory.noteHash(0, options.start.hash);
  }

  get head(): LogHead {
    return this.#head;
  }

  get failure(): TamperedError | undefined {
    return this.#failure;
  }

  /** Calls back whenever the directory has grown; gives the function that ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Runs one thing at a time: whoever moves the head does it in here. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#busy.then(work);
    this.#busy = run.catch(() => undefined);
    return run;
  }

  /** Takes note that the log is not what was written, and serves nothing from then on. */
  fail(error: TamperedError): void {
    this.#failure ??= error;
  }

  /** Throws where the log was found changed. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Takes in what others wrote, if there is any. Throws TamperedError, for good, where the store no
   * longer holds what was read before: an older database was put in its place, or another one.
   */
  refresh(): Promise<void> {
    return this.#guard(async () => {
      const known = this.#head;
      const { store } = this.#options;
      const seen = await store.head();
      this.#checkStillThere(known, seen);
      if (seen.position > this.#head.position) await this.exclusive(() => this.follow());
    });
  }

  /** Reads on from the head; only inside `exclusive`. */
  follow(): Promise<void> {
    return this.#guard(async () => {
      const { store } = this.#options;
      const before = this.#head.position;
      let head = this.#head;
      let waiting: Promise<Opened>[] = [];
      // The chain is checked in order; the seals of a batch are opened side by side.
      for await (const entry of store.entries(head.position + 1)) {
        const previous = head.hash;
        head = await checkEntry(entry, head);
        const next = this.#open(entry, previous);
        // Awaited with its batch; without this, Node ends the process over a promise nobody looked at.
        next.catch(() => undefined);
        waiting.push(next);
        if (waiting.length < OPENED_AT_ONCE) continue;
        this.#take(await Promise.all(waiting));
        waiting = [];
      }
      this.#take(await Promise.all(waiting));
      if (this.#head.position > before) this.#tell();
    });
  }

  /** Takes in entries that this process wrote itself; only inside `exclusive`. */
  advance(written: readonly Opened[]): void {
    this.#take(written);
    this.#tell();
  }

  /** A version of a resource, checked against the directory; undefined where there is none. */
  read(type: string, id: string, version?: number): Promise<JsonObject | undefined> {
    return this.#guard(async () => {
      const { directory, store, tenant, keys, start } = this.#options;
      const known = directory.find(type, id);
      const position = known?.positions.at(version === undefined ? -1 : version - 1);
      if (known === undefined || position === undefined || version === 0) return undefined;
      const entry = checkedRow(await store.entry(position), directory, position);
      const contentKey = await keys.get(known.key);
      const previous = directory.hashAt(position - 1) ?? start.hash;
      await checkEntry(entry, { position: position - 1, hash: previous });
      const header = headerOf(known, position);
      return readContent(await openEntryContent({ tenant, contentKey }, header, entry, previous));
    }, false);
  }

  async #open(entry: LogEntry, previous: Bytes): Promise<Opened> {
    const { tenant, keys } = this.#options;
    const logKey = await keys.get('log');
    const header = await openEntryHeader({ tenant, logKey }, entry, previous);
    const contentKey = await keys.get(header.key);
    const bytes = await openEntryContent({ tenant, contentKey }, header, entry, previous);
    const { position, hash } = entry;
    return { header, content: readContent(bytes), position, hash };
  }

  #take(entries: readonly Opened[]): void {
    const { directory } = this.#options;
    for (const { header, content, position, hash } of entries) {
      directory.noteHash(position, hash);
      directory.apply(header, content, position, timeOf(content));
      this.#head = { position, hash };
    }
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** The store's head must be one that the chain has gone through, and not before `known`. */
  #checkStillThere(
    known: LogHead,
    seen: { readonly position: number; readonly hash: Bytes },
  ): void {
    const where = `log entry ${known.position}`;
    if (seen.position < known.position) throw new TamperedError('log_truncated', where);
    const hash = this.#options.directory.hashAt(seen.position);
    if (seen.position === 0 || seen.position > this.#head.position || hash === undefined) return;
    if (!equalBytes(hash, seen.hash)) throw new TamperedError('entry_replaced', where);
  }

  async #guard<T>(work: () => Promise<T>, lasting = true): Promise<T> {
    this.check();
    try {
      return await work();
    } catch (error) {
      if (lasting && error instanceof TamperedError) this.fail(error);
      throw error;
    }
  }
}

/** A row that is the one the directory knows: a stale, swapped or missing one is noticed here. */
function checkedRow(entry: LogEntry | undefined, directory: Directory, position: number): LogEntry {
  const where = `log entry ${position}`;
  if (entry === undefined) throw new TamperedError('entry_missing', where);
  const hash = directory.hashAt(position);
  if (hash === undefined || !equalBytes(hash, entry.hash))
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
