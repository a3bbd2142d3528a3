import { TamperedError } from '@cloister/sealing';
import { type Store, StoreError } from '@cloister/service';
import { RefusedError } from '../refused-error.ts';
import { type Directory, REWRAP } from './directory.ts';
import type { LedgerWriter } from './ledger-writer.ts';
import { type LogKeys, OWN_KEYS, type StoredWrap } from './log-keys.ts';
import type { NewEntry } from './sealed-group.ts';

/** How keys are wrapped anew. */
export interface RewrapOptions {
  /** Not before every replica has the current tenant key: its beginning and one lease. */
  readonly notBefore?: Date;
  /** What is written together with the word that nothing is left: an audit event. */
  readonly alsoWrite?: (done: Pick<Rewrapped, 'version'>) => readonly NewEntry[];
}

/** What became of the keys. */
export interface Rewrapped {
  /** The version of the tenant key by which the keys are wrapped. */
  readonly version: number;
  /** How many this run wrapped anew. */
  readonly rewrapped: number;
  /**
   * How many may still be wrapped by an older version. 0: none, as the log says, of this run or an
   * earlier one, and all older versions may be destroyed.
   */
  readonly remaining: number;
}

/** What the rewrapper works with. */
export interface RewrapperOptions {
  readonly store: Store;
  readonly directory: Directory;
  readonly keys: LogKeys;
  readonly writer: LedgerWriter;
  readonly now: () => Date;
}

/** How many keys a transaction changes: short enough that no request waits long behind it. */
const BATCH = 64;
/** Whoever is overtaken so often leaves it for later. */
const MOST_PASSES = 100;

/**
 * Wraps all keys by the current tenant key (design 4). It may end at any moment and begin again,
 * here and in other replicas at the same time: a key stays the same whichever tenant key wraps it,
 * and a wrap is changed only as it was read. The entry that says that nothing is left is written
 * behind a head at which every key that the log knows was seen in the store under the current tenant
 * key; from that entry on no replica makes a key under an older one.
 */
export class Rewrapper {
  readonly #options: RewrapperOptions;
  #running: Promise<Rewrapped> | undefined;
  #stopped = false;

  constructor(options: RewrapperOptions) {
    this.#options = options;
  }

  /** Runs once for all who ask meanwhile. */
  run(options: RewrapOptions = {}): Promise<Rewrapped> {
    this.#running ??= this.#run(options).finally(() => (this.#running = undefined));
    return this.#running;
  }

  /** Ends behind the transaction that is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    // Whoever asked for the run hears how it ended.
    await this.#running?.catch(() => undefined);
  }

  async #run({ notBefore, alsoWrite }: RewrapOptions): Promise<Rewrapped> {
    const { keys, directory, now } = this.#options;
    const { version } = keys.tenantKeys.current;
    const seen = new Set<string>();
    const written = new Set<string>();
    const unseen = (): string[] => [...this.#ids()].filter((id) => !seen.has(id));
    if (notBefore !== undefined && now() < notBefore)
      return { version, rewrapped: 0, remaining: keys.countBelow(version, this.#ids()) };
    let rest = unseen();
    for (let passes = 0; passes < MOST_PASSES && !this.#stopped; passes++, rest = unseen()) {
      if (rest.length === 0 && (await this.#complete(version, seen, alsoWrite))) break;
      for (let at = 0; at < rest.length && !this.#stopped; at += BATCH)
        // oxlint-disable-next-line no-await-in-loop -- bounded transactions, one after the other
        await this.#pass(rest.slice(at, at + BATCH), { version, seen, written });
    }
    const isDone = directory.rewrappedTo >= version && rest.length === 0;
    return { version, rewrapped: written.size, remaining: isDone ? 0 : Math.max(1, rest.length) };
  }

  /** The log's own keys, and those of all patients in it. What the host lists does not count. */
  *#ids(): Iterable<string> {
    yield* OWN_KEYS;
    yield* this.#options.directory.keyNames;
  }

  /** Reads some wraps; those under an older tenant key are written anew, and read once more later. */
  async #pass(
    ids: readonly string[],
    { version, seen, written }: { version: number; seen: Set<string>; written: Set<string> },
  ): Promise<void> {
    const { keys, store } = this.#options;
    const read = await Promise.all(ids.map((id) => keys.readWrap(id)));
    const older: StoredWrap[] = [];
    for (const wrap of read) {
      const { id } = wrap.key;
      if (wrap.version >= version) seen.add(id);
      // It was written under the newer one, and nobody writes it back.
      else if (written.has(id)) throw new TamperedError('entry_replaced', 'a wrapped key');
      else older.push(wrap);
    }
    if (older.length === 0) return;
    const values = await Promise.all(older.map((wrap) => keys.planRewrap(wrap)));
    try {
      await store.commit({ values });
    } catch (error) {
      // Another replica wrapped some of them: they are read again.
      if (error instanceof StoreError && error.code === 'conflict') return;
      throw error;
    }
    for (const { key } of older) written.add(key.id);
  }

  /** Writes that nothing is left; false where there are keys that were not seen, made meanwhile. */
  async #complete(
    version: number,
    seen: ReadonlySet<string>,
    alsoWrite: RewrapOptions['alsoWrite'],
  ): Promise<boolean> {
    const { directory, writer } = this.#options;
    if (directory.rewrappedTo >= version) return true;
    const content = { tenantKey: version, keys: seen.size };
    const entry = { ...REWRAP, content, follows: directory.versionOf(REWRAP.type, REWRAP.id) };
    try {
      await writer.commit([entry, ...(alsoWrite?.({ version }) ?? [])], {
        check: () => {
          for (const id of this.#ids())
            if (!seen.has(id)) throw new RefusedError('version_conflict');
        },
      });
      return true;
    } catch (error) {
      // Another replica said so before, or a patient came.
      if (error instanceof RefusedError && error.code === 'version_conflict') return false;
      throw error;
    }
  }
}
