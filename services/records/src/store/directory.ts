import type { Bytes, JsonObject } from '@cloister/bytes';
import type { EntryHeader } from '@cloister/sealing';
import { JobTable, LEASE_TYPE } from './job-table.ts';
import { type SearchKeys, searchKeysOf } from './search-keys.ts';
import { SESSION_TYPE, SessionTable } from './session-table.ts';

/** What is known of a resource without opening it. */
export interface Known {
  readonly type: string;
  readonly id: string;
  /** Positions in the log of version 1, 2, … */
  readonly positions: readonly number[];
  /** Milliseconds since 1970. */
  readonly lastUpdated: number;
  /** Name of the key that seals it. */
  readonly key: string;
  /** Whose record it belongs to. */
  readonly patient?: string;
  readonly search: SearchKeys;
}

/** One notification: ids and codes, never content (spec clinical.md 7). */
export interface RecordEvent {
  /** The cursor behind which it stands. */
  readonly cursor: number;
  readonly data: JsonObject;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Type and id under which the log says that all keys are wrapped by a tenant key. */
export const REWRAP = { type: 'Rewrap', id: 'tenant-key' } as const;

/** Type and id under which notifications stand in the log; their version is the cursor. */
export const EVENT = { type: 'Event', id: 'event' } as const;
const EVENTS_KEPT = 1000;

/**
 * What `records` keeps in the enclave's memory (design 4): where each version of each resource
 * stands in the log, the hash of every entry, and the keys to find resources by. It is built from
 * the log at start and grows with every commit; the database is never asked to search.
 */
export class Directory {
  readonly sessions: SessionTable = new SessionTable();
  readonly jobs: JobTable = new JobTable();
  readonly #types = new Map<string, Map<string, Known>>();
  readonly #patientKeys = new Map<string, string>();
  readonly #patientOfKey = new Map<string, string>();
  #hashes: Bytes = new Uint8Array(32 * 1024);
  #events: RecordEvent[] = [];
  #cursor = 0;
  #rewraps = 0;
  #rewrappedTo = 0;

  /** The current state of a resource, or undefined where there is none of that id. */
  find(type: string, id: string): Known | undefined {
    return this.#types.get(type)?.get(id);
  }

  /** The newest version of a resource; 0 where there is none. */
  versionOf(type: string, id: string): number {
    if (type === EVENT.type) return this.#cursor;
    if (type === SESSION_TYPE) return this.sessions.get(id)?.version ?? 0;
    if (type === LEASE_TYPE) return this.jobs.lease(id)?.version ?? 0;
    if (type === REWRAP.type) return this.#rewraps;
    return this.find(type, id)?.positions.length ?? 0;
  }

  /** All resources of a type, in order of creation. */
  all(type: string): Iterable<Known> {
    return this.#types.get(type)?.values() ?? [];
  }

  /** Name of the key under which a patient's record is sealed. */
  patientKey(patient: string): string | undefined {
    return this.#patientKeys.get(patient);
  }

  /** The names of all patients' keys. */
  get keyNames(): Iterable<string> {
    return this.#patientKeys.values();
  }

  /** The version of the tenant key under which all keys are wrapped, or a newer one; 0 at first. */
  get rewrappedTo(): number {
    return this.#rewrappedTo;
  }

  /** The chain's hash at a position; position 0 is the empty log. */
  hashAt(position: number): Bytes | undefined {
    const at = 32 * position;
    return at + 32 <= this.#hashes.length ? this.#hashes.slice(at, at + 32) : undefined;
  }

  /** The newest cursor. */
  get cursor(): number {
    return this.#cursor;
  }

  /** The notifications behind a cursor; undefined where older ones are no longer kept. */
  eventsAfter(cursor: number): readonly RecordEvent[] | undefined {
    const oldest = this.#events[0]?.cursor ?? this.#cursor + 1;
    if (cursor + 1 < oldest && cursor < this.#cursor && cursor !== 0) return undefined;
    return this.#events.filter((event) => event.cursor > cursor);
  }

  noteHash(position: number, hash: Bytes): void {
    const at = 32 * position;
    if (at + 32 > this.#hashes.length) {
      const larger = new Uint8Array(2 * this.#hashes.length);
      larger.set(this.#hashes);
      this.#hashes = larger;
    }
    this.#hashes.set(hash, at);
  }

  /** Takes in one entry of the log, after it was written or while the log is replayed. */
  apply(header: EntryHeader, content: JsonObject, position: number, at: number): void {
    const { type, id, version, key } = header;
    if (type === EVENT.type) {
      this.jobs.applyEvent(content);
      this.#applyEvent({ cursor: version, data: content, at });
      return;
    }
    if (type === SESSION_TYPE) return this.sessions.apply(id, version, content, at);
    if (type === LEASE_TYPE) return this.jobs.applyLease(id, version, content, at);
    if (type === REWRAP.type) return this.#applyRewrap(version, content);
    if (type === 'Task') this.jobs.applyTask(id, content, at);
    if (type === 'Patient') {
      this.#patientKeys.set(id, key);
      this.#patientOfKey.set(key, id);
    }
    const patient = this.#patientOfKey.get(key);
    const before = this.find(type, id);
    const known: Known = {
      type,
      id,
      positions: [...(before?.positions ?? []), position],
      lastUpdated: at,
      key,
      ...(patient === undefined ? {} : { patient }),
      search: searchKeysOf(content),
    };
    let ofType = this.#types.get(type);
    if (ofType === undefined) this.#types.set(type, (ofType = new Map<string, Known>()));
    ofType.set(id, known);
  }

  #applyRewrap(version: number, { tenantKey }: JsonObject): void {
    this.#rewraps = version;
    if (typeof tenantKey === 'number') this.#rewrappedTo = Math.max(this.#rewrappedTo, tenantKey);
  }

  #applyEvent(event: RecordEvent): void {
    this.#cursor = event.cursor;
    this.#events.push(event);
    if (this.#events.length > 2 * EVENTS_KEPT) this.#events = this.#events.slice(-EVENTS_KEPT);
  }
}
