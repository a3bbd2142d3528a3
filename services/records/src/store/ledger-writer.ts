import { type Bytes, encodeHex, encodeUtf8, isJsonObject, type JsonObject } from '@cloister/bytes';
import {
  type EntryHeader,
  type LogHead,
  type NewKey,
  type Random,
  sealEntry,
  type SealingKey,
} from '@cloister/sealing';
import { RefusedError } from '../refused-error.ts';
import type { Directory } from './directory.ts';
import type { HeadAnchor } from './head-anchor.ts';
import type { Batch, Store } from './store.ts';

/** Something to be written: a new version of a resource, or an entry of the service itself. */
export interface NewEntry {
  readonly type: string;
  readonly id: string;
  readonly content: JsonObject;
  /** Whose record it belongs to, and so which key seals it; absent: the service's own. */
  readonly patient?: string;
  /** The version it must follow (0: none); absent: any. */
  readonly follows?: number;
}

/** What was written. */
export interface Stored {
  readonly type: string;
  readonly id: string;
  readonly version: number;
  /** With its `meta` as written. */
  readonly content: JsonObject;
}

/** What a commit is bound to. */
export interface CommitOptions {
  /** SHA-256 of the request's encapsulation: written with the effect, once ever (design 5). */
  readonly request?: Bytes | undefined;
  /** Runs when all earlier commits are in the directory; what it throws refuses the commit. */
  readonly check?: (directory: Directory) => void;
}

/** What the writer works with. */
export interface WriterOptions {
  readonly store: Store;
  readonly tenant: string;
  readonly logKey: SealingKey;
  readonly directory: Directory;
  readonly head: LogHead;
  readonly random: Random;
  readonly now: () => Date;
  readonly keyFor: (patient: string | undefined) => Promise<SealingKey>;
  readonly newKey: (id: string) => Promise<NewKey & { keep(): void }>;
  readonly anchor?: HeadAnchor;
  readonly onAnchorFailure: (error: unknown) => void;
}

interface Job {
  readonly entries: readonly NewEntry[];
  readonly options: CommitOptions;
  readonly resolve: (stored: readonly Stored[]) => void;
  readonly reject: (error: unknown) => void;
}

/** An entry that is sealed and not yet written. */
interface Sealed {
  readonly header: EntryHeader;
  readonly content: JsonObject;
  readonly position: number;
  readonly hash: Bytes;
}

/** A transaction under way: what several jobs write together. */
interface Group {
  head: LogHead;
  readonly batch: { -readonly [K in keyof Batch]: Batch[K] };
  readonly versions: Map<string, number>;
  readonly newKeys: Map<string, NewKey & { keep(): void }>;
  readonly done: { readonly job: Job; readonly sealed: readonly Sealed[] }[];
}

const LARGEST_GROUP = 64;
const ANCHOR_DELAY_MS = 1000;

/**
 * The only writer of the log. Jobs that wait are sealed one after the other, in the order in
 * which they came, and written in one transaction; the directory learns of them after it.
 */
export class LedgerWriter {
  readonly #options: WriterOptions;
  readonly #queue: Job[] = [];
  readonly #listeners = new Set<() => void>();
  #head: LogHead;
  #working: Promise<void> | undefined;
  #anchorTimer: NodeJS.Timeout | undefined;
  #anchored: number;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#head = options.head;
    this.#anchored = options.head.position;
  }

  get head(): LogHead {
    return this.#head;
  }

  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  commit(entries: readonly NewEntry[], options: CommitOptions = {}): Promise<readonly Stored[]> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ entries, options, resolve, reject });
      this.#working ??= this.#work();
    });
  }

  async close(): Promise<void> {
    await this.#working;
    clearTimeout(this.#anchorTimer);
    await this.#writeAnchor();
    this.#options.store.close();
  }

  async #work(): Promise<void> {
    await Promise.resolve();
    while (this.#queue.length > 0) await this.#writeGroup();
    this.#working = undefined;
  }

  async #writeGroup(): Promise<void> {
    const { directory, store, now } = this.#options;
    const at = now().getTime();
    const group: Group = {
      head: this.#head,
      batch: { entries: [], keys: [], requests: [], at },
      versions: new Map(),
      newKeys: new Map(),
      done: [],
    };
    while (group.done.length < LARGEST_GROUP) {
      const [next] = this.#queue;
      // A check looks at the directory, so everything before it must be in there.
      if (next === undefined || (next.options.check !== undefined && group.done.length > 0)) break;
      this.#queue.shift();
      try {
        await this.#sealJob(next, group, new Date(at));
      } catch (error) {
        next.reject(error);
      }
    }
    if (group.done.length === 0) return;
    try {
      store.commit(group.batch);
    } catch (error) {
      for (const { job } of group.done) job.reject(error);
      return;
    }
    this.#head = group.head;
    for (const made of group.newKeys.values()) made.keep();
    for (const { sealed } of group.done)
      for (const { header, content, position, hash } of sealed) {
        directory.noteHash(position, hash);
        directory.apply(header, content, position, at);
      }
    for (const { job, sealed } of group.done)
      job.resolve(sealed.map(({ header, content }) => ({ ...header, content })));
    for (const listener of this.#listeners) listener();
    this.#anchorTimer ??= setTimeout(() => void this.#writeAnchor(), ANCHOR_DELAY_MS).unref();
  }

  /** Seals what a job writes behind the group's head; the group changes only when all of it is sealed. */
  async #sealJob(job: Job, group: Group, at: Date): Promise<void> {
    const { store, directory, tenant, logKey, random } = this.#options;
    const { request, check } = job.options;
    if (request !== undefined) {
      const known = group.batch.requests.some((r) => encodeHex(r) === encodeHex(request));
      if (known || store.hasRequest(request)) throw new RefusedError('replayed');
    }
    check?.(directory);
    const versions = new Map(group.versions);
    const newKeys = new Map(group.newKeys);
    const rows = [];
    const sealed: Sealed[] = [];
    let { head } = group;
    for (const entry of job.entries) {
      const { type, id, patient, follows } = entry;
      const name = `${type}/${id}`;
      const before = versions.get(name) ?? this.#versionOf(type, id);
      if (follows !== undefined && follows !== before) throw new RefusedError('version_conflict');
      const version = before + 1;
      const content = withMeta(entry.content, version, at);
      const contentKey = await this.#keyFor(type, patient, newKeys);
      const place = { tenant, logKey, head, type, id, version };
      const bytes = encodeUtf8(JSON.stringify(content));
      const made = await sealEntry({ ...place, content: bytes, contentKey, random });
      const { position, hash } = made.entry;
      const header = { type, id, version, key: contentKey.id };
      rows.push(made.entry);
      sealed.push({ header, content, position, hash });
      versions.set(name, version);
      ({ head } = made);
    }
    group.head = head;
    for (const [name, version] of versions) group.versions.set(name, version);
    for (const [patient, made] of newKeys) {
      if (group.newKeys.has(patient)) continue;
      group.newKeys.set(patient, made);
      group.batch.keys = [...group.batch.keys, { id: made.key.id, wrapped: made.wrapped }];
    }
    group.batch.entries = [...group.batch.entries, ...rows];
    if (request !== undefined) group.batch.requests = [...group.batch.requests, request];
    group.done.push({ job, sealed });
  }

  #versionOf(type: string, id: string): number {
    const { directory } = this.#options;
    if (type === 'Event') return directory.cursor;
    return directory.find(type, id)?.positions.length ?? 0;
  }

  /** A patient's key, made with the patient. */
  async #keyFor(
    type: string,
    patient: string | undefined,
    newKeys: Map<string, NewKey & { keep(): void }>,
  ): Promise<SealingKey> {
    const { keyFor, newKey, directory, random } = this.#options;
    if (patient === undefined) return keyFor(undefined);
    const made = newKeys.get(patient);
    if (made !== undefined) return made.key;
    if (type !== 'Patient' || directory.patientKey(patient) !== undefined) return keyFor(patient);
    const fresh = await newKey(encodeHex(random(16)));
    newKeys.set(patient, fresh);
    return fresh.key;
  }

  async #writeAnchor(): Promise<void> {
    const { anchor, onAnchorFailure } = this.#options;
    this.#anchorTimer = undefined;
    const head = this.#head;
    if (anchor === undefined || head.position === this.#anchored) return;
    try {
      await anchor.write(head);
      this.#anchored = head.position;
    } catch (error) {
      onAnchorFailure(error);
    }
  }
}

/** `meta.versionId` and `meta.lastUpdated` are the server's (FHIR R4, resource 2.26.3.4). */
function withMeta(content: JsonObject, version: number, at: Date): JsonObject {
  const meta = isJsonObject(content['meta']) ? content['meta'] : {};
  return {
    ...content,
    meta: { ...meta, versionId: String(version), lastUpdated: at.toISOString() },
  };
}
