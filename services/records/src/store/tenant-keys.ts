import type { Bytes } from '@cloister/bytes';
import {
  createWrappedKey,
  type NewKey,
  type NumberedKey,
  type Random,
  rewrapKey,
  TamperedError,
  type UnwrappedKey,
  unwrapKey,
} from '@cloister/sealing';
import { ConfigError, UnavailableError } from '@cloister/service';

/** A tenant key as the hospital's broker releases it (design 4). */
export interface TenantKey extends NumberedKey {
  /** Since when it wraps what is new. */
  readonly from: Date;
}

/** What tenant keys are kept with. */
export interface TenantKeysOptions {
  readonly tenant: string;
  /** First the one that wraps what is new; all the others open as well. */
  readonly tenantKeys: readonly TenantKey[];
  /**
   * Gets the keys anew, first the one that wraps. Asked where a wrap names a version that is not
   * here: another replica may have it already.
   */
  readonly renewKeys?: (() => Promise<readonly TenantKey[]>) | undefined;
  readonly random: Random;
}

/** The tenant keys that this process has: they wrap the keys of the log and of the patients. */
export class TenantKeys {
  readonly #options: TenantKeysOptions;
  #keys: readonly TenantKey[];
  #current: TenantKey;
  #renewing: Promise<void> | undefined;

  constructor(options: TenantKeysOptions) {
    this.#options = options;
    this.#keys = options.tenantKeys;
    this.#current = firstOf(options.tenantKeys);
  }

  /** The one that wraps what is new. */
  get current(): TenantKey {
    return this.#current;
  }

  /** From now on these, and no others; none that is older than the one that wraps now wraps again. */
  use(keys: readonly TenantKey[]): void {
    const first = firstOf(keys);
    const { version } = this.#current;
    const same = keys.find((key) => key.version === version);
    this.#keys = keys;
    this.#current = same !== undefined && version > first.version ? same : first;
  }

  /** Makes a key, wrapped by the current one, which must not be older than `lowest`. */
  async create(id: string, lowest: number): Promise<NewKey & UnwrappedKey> {
    if (this.#current.version < lowest) await this.#renew();
    const by = this.#current;
    // All is wrapped by a newer one, and this one may be destroyed any moment.
    if (by.version < lowest) throw new UnavailableError('not_ready', 'tenant-key');
    const made = await createWrappedKey(by, this.#options.tenant, id, this.#options.random);
    return { ...made, version: by.version };
  }

  /** Unwraps a key; TamperedError where none of the keys opens it, also after they were renewed. */
  unwrap(id: string, wrapped: Bytes): Promise<UnwrappedKey> {
    return this.#withRenewal(() => unwrapKey(this.#keys, this.#options.tenant, id, wrapped));
  }

  /** The same key, wrapped by the current one. */
  rewrap(id: string, wrapped: Bytes): Promise<Bytes> {
    const { tenant, random } = this.#options;
    return this.#withRenewal(() =>
      rewrapKey(this.#keys, this.#current, tenant, { id, wrapped, random }),
    );
  }

  async #withRenewal<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isUnknownKey(error)) throw error;
    }
    if (this.#renewing !== undefined) {
      // It may have been asked for before the key was there: its answer settles nothing if it lacks it.
      await this.#renewing;
      try {
        return await work();
      } catch (error) {
        if (!isUnknownKey(error)) throw error;
      }
    }
    await this.#renew();
    return work();
  }

  /** Many at once ask once. */
  #renew(): Promise<void> {
    const { renewKeys } = this.#options;
    if (renewKeys === undefined) return Promise.resolve();
    this.#renewing ??= renewKeys()
      .then((keys) => this.use(keys))
      .finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }
}

function firstOf(keys: readonly TenantKey[]): TenantKey {
  const [first] = keys;
  if (first === undefined) throw new ConfigError('tenant-key: none was released');
  return first;
}

const isUnknownKey = (error: unknown): boolean =>
  error instanceof TamperedError && error.code === 'tenant_key_unknown';
