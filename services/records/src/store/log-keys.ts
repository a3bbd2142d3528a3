import type { Bytes } from '@cloister/bytes';
import { type NewKey, type SealingKey, TamperedError, type UnwrappedKey } from '@cloister/sealing';
import { type Store, StoreError, type ValueChange } from '@cloister/service';
import { TenantKeys, type TenantKeysOptions } from './tenant-keys.ts';

/** The keys of the log itself: its headers, what belongs to no patient, the cursors of pages. */
export const OWN_KEYS = ['log', 'service', 'cursor'] as const;
/** Name of one of the log's own keys. */
export type OwnKey = (typeof OWN_KEYS)[number];

/** What the keys of a log are made with. */
export interface LogKeysOptions extends TenantKeysOptions {
  readonly store: Store;
  /** The tenant key under which all wraps are, as the log says: none may be under an older one. */
  readonly lowestVersion?: () => number;
}

/** A key that is made and not yet written. */
export interface FreshKey extends NewKey, UnwrappedKey {
  /** What writes it, wrapped. */
  readonly change: ValueChange;
}

/** A wrap as it stands in the store, and opens. */
export interface StoredWrap extends UnwrappedKey {
  readonly wrapped: Bytes;
  /** The version of the stored value. */
  readonly stored: number;
}

/**
 * The keys that seal the log and the records in it: in the store as wrapped by the tenant key, in
 * the enclave's memory as they are (design 4).
 */
export class LogKeys {
  readonly tenantKeys: TenantKeys;
  readonly #options: LogKeysOptions;
  readonly #keys = new Map<string, UnwrappedKey>();

  constructor(options: LogKeysOptions) {
    this.#options = options;
    this.tenantKeys = new TenantKeys(options);
  }

  /** The key of that name; TamperedError where its wrap is gone, is another's or an older one. */
  async get(id: string): Promise<SealingKey> {
    const known = this.#keys.get(id) ?? (await this.readWrap(id));
    return known.key;
  }

  /** Reads a wrap anew, and checks it as `get` does. */
  async readWrap(id: string): Promise<StoredWrap> {
    // Asked before the row is read: what another replica completes meanwhile is no fault of the row.
    const lowest = this.#lowest;
    const { value, version: stored } = await this.#options.store.value(placeOf(id));
    if (value === undefined) throw new TamperedError('entry_missing', WHERE);
    const unwrapped = await this.tenantKeys.unwrap(id, value);
    if (unwrapped.version < lowest) throw new TamperedError('entry_replaced', WHERE);
    this.#keys.set(id, unwrapped);
    return { ...unwrapped, wrapped: value, stored };
  }

  /** Makes a key; it counts when its change is written. */
  async create(id: string): Promise<FreshKey> {
    const made = await this.tenantKeys.create(id, this.#lowest);
    return { ...made, change: { key: placeOf(id), version: 0, value: made.wrapped } };
  }

  /** Remembers keys that were written. */
  keep(made: Iterable<FreshKey>): void {
    for (const { key, version } of made) this.#keys.set(key.id, { key, version });
  }

  /** The change that wraps a stored key by another tenant key, if nobody else changed it meanwhile. */
  async planRewrap({ key, wrapped, stored }: StoredWrap): Promise<ValueChange> {
    const value = await this.tenantKeys.rewrap(key.id, wrapped);
    return { key: placeOf(key.id), version: stored, value };
  }

  /** How many of these keys are, as far as is known here, not yet under a version of the tenant key. */
  countBelow(version: number, ids: Iterable<string>): number {
    let count = 0;
    for (const id of ids) if ((this.#keys.get(id)?.version ?? 0) < version) count += 1;
    return count;
  }

  /**
   * Checks the keys that were read while the log was followed: that says only at its end under which
   * tenant key they must be. TamperedError `entry_replaced` where one is under an older one.
   */
  async checkRead(): Promise<void> {
    const lowest = this.#lowest;
    // oxlint-disable-next-line no-await-in-loop -- nearly always none: one that was read too early
    for (const [id, { version }] of this.#keys) if (version < lowest) await this.readWrap(id);
  }

  /**
   * Makes the log's own keys where the log begins; `mayBegin` throws where it began already, for a
   * log that lost its keys is not begun anew.
   */
  async ensureOwn(mayBegin: () => void): Promise<void> {
    const { store } = this.#options;
    const there = await Promise.all(OWN_KEYS.map((id) => store.value(placeOf(id))));
    if (there.some(({ version }) => version > 0)) return;
    if ((await store.head()).position > 0) throw new TamperedError('entry_missing', WHERE);
    mayBegin();
    const made = await Promise.all(OWN_KEYS.map((id) => this.create(id)));
    try {
      await store.commit({ values: made.map(({ change }) => change) });
      this.keep(made);
    } catch (error) {
      // Another replica began the log at the same moment: its keys count.
      if (!(error instanceof StoreError && error.code === 'conflict')) throw error;
    }
  }

  get #lowest(): number {
    return this.#options.lowestVersion?.() ?? 0;
  }
}

const WHERE = 'a wrapped key';

const placeOf = (id: string): string => `key/${id}`;
