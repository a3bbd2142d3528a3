import {
  createWrappedKey,
  type NewKey,
  type Random,
  type SealingKey,
  TamperedError,
  unwrapKey,
} from '@cloister/sealing';
import { type Store, StoreError, type ValueChange } from '@cloister/service';

/** The keys of the log itself: its headers, what belongs to no patient, the cursors of pages. */
const OWN_KEYS = ['log', 'service', 'cursor'] as const;
/** Name of one of the log's own keys. */
export type OwnKey = (typeof OWN_KEYS)[number];

/** What the keys of a log are made with. */
export interface LogKeysOptions {
  readonly store: Store;
  readonly tenant: string;
  /** The one that wraps what is new. */
  readonly tenantKey: SealingKey;
  /** Those before it: what they wrapped is still opened. */
  readonly olderTenantKeys?: readonly SealingKey[] | undefined;
  readonly random: Random;
}

/** A key that is made and not yet written. */
export interface FreshKey extends NewKey {
  /** What writes it, wrapped. */
  readonly change: ValueChange;
}

/**
 * The keys that seal the log and the records in it: in the store as wrapped by the tenant key, in
 * the enclave's memory as they are (design 4).
 */
export class LogKeys {
  readonly #options: LogKeysOptions;
  readonly #keys = new Map<string, SealingKey>();

  constructor(options: LogKeysOptions) {
    this.#options = options;
  }

  /** The key of that name; TamperedError where its wrap is gone, or is another's. */
  async get(id: string): Promise<SealingKey> {
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    const { value } = await this.#options.store.value(placeOf(id));
    if (value === undefined) throw new TamperedError('entry_missing', 'a wrapped key');
    const key = await this.#unwrap(id, value);
    this.#keys.set(id, key);
    return key;
  }

  async #unwrap(id: string, wrapped: Uint8Array): Promise<SealingKey> {
    const { tenant, tenantKey, olderTenantKeys = [] } = this.#options;
    let failure: unknown;
    for (const candidate of [tenantKey, ...olderTenantKeys]) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- nearly always the first one
        return await unwrapKey(candidate, tenant, id, wrapped);
      } catch (error) {
        if (!(error instanceof TamperedError)) throw error;
        failure ??= error;
      }
    }
    throw failure;
  }

  /** Makes a key; it counts when its change is written. */
  async create(id: string): Promise<FreshKey> {
    const { tenant, tenantKey, random } = this.#options;
    const made = await createWrappedKey(tenantKey, tenant, id, random);
    return { ...made, change: { key: placeOf(id), version: 0, value: made.wrapped } };
  }

  /** Remembers keys that were written. */
  keep(made: Iterable<NewKey>): void {
    for (const { key } of made) this.#keys.set(key.id, key);
  }

  /**
   * Makes the log's own keys where the log begins; `mayBegin` throws where it began already, for a
   * log that lost its keys is not begun anew.
   */
  async ensureOwn(mayBegin: () => void): Promise<void> {
    const { store } = this.#options;
    const there = await Promise.all(OWN_KEYS.map((id) => store.value(placeOf(id))));
    if (there.some(({ version }) => version > 0)) return;
    if ((await store.head()).position > 0)
      throw new TamperedError('entry_missing', 'a wrapped key');
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
}

const placeOf = (id: string): string => `key/${id}`;
