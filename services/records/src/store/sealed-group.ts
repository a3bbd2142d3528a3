import { type Bytes, encodeHex, encodeUtf8, isJsonObject, type JsonObject } from '@cloister/bytes';
import {
  type LogEntry,
  type LogHead,
  type Random,
  sealEntry,
  type SealingKey,
} from '@cloister/sealing';
import type { Batch } from '@cloister/service';
import { RefusedError } from '../refused-error.ts';
import type { Directory } from './directory.ts';
import type { FreshKey, LogKeys } from './log-keys.ts';
import type { Opened } from './log-reader.ts';

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

/** A commit that somebody waits for. */
export interface Job {
  readonly entries: readonly NewEntry[];
  readonly options: CommitOptions;
  readonly resolve: (stored: readonly Stored[]) => void;
  readonly reject: (error: unknown) => void;
}

/** What entries are sealed with. */
export interface SealOptions {
  readonly tenant: string;
  readonly directory: Directory;
  readonly keys: LogKeys;
  readonly random: Random;
}

/** How long the mark of a request stays: its channel key lives 24 hours (design 5). */
const REQUEST_MARK_MS = 48 * 3600_000;

/** What several jobs write together: sealed behind a head, in the order of the jobs. */
export class SealedGroup {
  readonly #options: SealOptions;
  readonly #at: Date;
  /** The head behind which it is sealed. */
  readonly after: LogHead;
  readonly #versions = new Map<string, number>();
  readonly #newKeys = new Map<string, FreshKey>();
  readonly #requests = new Map<string, Bytes>();
  readonly #rows: LogEntry[] = [];
  readonly #opened: Opened[] = [];
  readonly #done: { readonly job: Job; readonly stored: readonly Stored[] }[] = [];
  #head: LogHead;

  constructor(options: SealOptions, after: LogHead, at: Date) {
    this.#options = options;
    this.after = after;
    this.#head = after;
    this.#at = at;
  }

  /** The head when it is written. */
  get head(): LogHead {
    return this.#head;
  }

  /** What is written, for the directory. */
  get opened(): readonly Opened[] {
    return this.#opened;
  }

  get jobs(): readonly Job[] {
    return this.#done.map(({ job }) => job);
  }

  get newKeys(): Iterable<FreshKey> {
    return this.#newKeys.values();
  }

  /** The one transaction that writes it. */
  get batch(): Batch {
    const { position, hash } = this.after;
    const until = this.#at.getTime() + REQUEST_MARK_MS;
    return {
      append: {
        // A store knows no tenant: its empty log has an empty hash.
        after: { position, hash: position === 0 ? new Uint8Array(0) : hash },
        entries: this.#rows,
      },
      values: [...this.#newKeys.values()].map(({ change }) => change),
      markers: [...this.#requests.values()].map((marker) => ({ marker, until })),
    };
  }

  /** Tells every job that it is done. */
  resolve(): void {
    for (const { job, stored } of this.#done) job.resolve(stored);
  }

  /** Seals what a job writes; the group changes only when all of it is sealed. */
  async add(job: Job): Promise<void> {
    const { directory, tenant, keys, random } = this.#options;
    const { request, check } = job.options;
    const mark = request === undefined ? undefined : encodeHex(request);
    if (mark !== undefined && this.#requests.has(mark)) throw new RefusedError('replayed');
    check?.(directory);
    const logKey = await keys.get('log');
    const versions = new Map(this.#versions);
    const newKeys = new Map(this.#newKeys);
    const rows: LogEntry[] = [];
    const opened: Opened[] = [];
    let head = this.#head;
    for (const entry of job.entries) {
      const { type, id, patient, follows } = entry;
      const name = `${type}/${id}`;
      const before = versions.get(name) ?? directory.versionOf(type, id);
      if (follows !== undefined && follows !== before) throw new RefusedError('version_conflict');
      const version = before + 1;
      const content = withMeta(entry.content, version, this.#at);
      const contentKey = await this.#keyFor(type, patient, newKeys);
      const bytes = encodeUtf8(JSON.stringify(content));
      const place = { tenant, logKey, head, type, id, version };
      const made = await sealEntry({ ...place, content: bytes, contentKey, random });
      const { position, hash } = made.entry;
      rows.push(made.entry);
      opened.push({ header: { type, id, version, key: contentKey.id }, content, position, hash });
      versions.set(name, version);
      ({ head } = made);
    }
    this.#head = head;
    for (const [name, version] of versions) this.#versions.set(name, version);
    for (const [patient, made] of newKeys) this.#newKeys.set(patient, made);
    if (mark !== undefined && request !== undefined) this.#requests.set(mark, request);
    this.#rows.push(...rows);
    this.#opened.push(...opened);
    const stored = opened.map(({ header: { type, id, version }, content }) => ({
      type,
      id,
      version,
      content,
    }));
    this.#done.push({ job, stored });
  }

  /** A patient's key, made with the patient. */
  async #keyFor(
    type: string,
    patient: string | undefined,
    newKeys: Map<string, FreshKey>,
  ): Promise<SealingKey> {
    const { keys, directory, random } = this.#options;
    if (patient === undefined) return keys.get('service');
    const made = newKeys.get(patient);
    if (made !== undefined) return made.key;
    const known = directory.patientKey(patient);
    if (type !== 'Patient' || known !== undefined) return keys.get(known ?? '');
    const fresh = await keys.create(encodeHex(random(16)));
    newKeys.set(patient, fresh);
    return fresh.key;
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
