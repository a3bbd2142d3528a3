import type { Kem, Manifest, SecretAgreement, SecretVersion } from '@cloister/attestation';
import { encodeHex, type Bytes } from '@cloister/bytes';
import { createChannelKeys, exportChannelKeys } from '@cloister/channel';
import { sha256 } from '@cloister/crypto';
import { TamperedError, type Random } from '@cloister/sealing';
import type { Store, ValueChange } from '@cloister/service';
import type { BrokerEvent } from '../journal/broker-event.ts';
import type { SecretRecord, VersionRecord } from '../journal/broker-state.ts';
import type { StateSeal } from '../keys/state-seal.ts';
import type { DueVersion } from './secret-schedule.ts';

/** A new version: the event that says so, and the sealed value. */
export interface NewVersion {
  readonly event: BrokerEvent & { readonly event: 'secret-created' };
  readonly change: ValueChange;
}

/** Where the values of secrets lie, sealed; the log holds the digest of each. */
export class SecretVault {
  readonly #store: Store;
  readonly #seal: StateSeal;
  readonly #random: Random;

  constructor(store: Store, seal: StateSeal, random: Random) {
    this.#store = store;
    this.#seal = seal;
    this.#random = random;
  }

  /** Makes the value of a generated secret: an AES key, or a channel key with a key id of its own. */
  async generate(agreement: SecretAgreement, version: number, manifest: Manifest): Promise<Bytes> {
    if (agreement.type !== 'hpke') return this.#random(32);
    const [service = ''] = agreement.to;
    const [kem = 'x-wing' satisfies Kem] = manifest.services[service]?.config?.kems ?? [];
    return exportChannelKeys(await createChannelKeys({ kem, keyId: version % 256 }));
  }

  /** Seals a value as the next version of a secret. */
  async plan(
    name: string,
    secret: SecretRecord,
    value: Uint8Array,
    details: Omit<DueVersion, 'reason'> & {
      readonly reason: DueVersion['reason'] | 'imported';
      readonly kty?: 'oct' | 'RSA' | 'EC' | undefined;
      readonly policy?: string | undefined;
    },
  ): Promise<NewVersion> {
    const version = secret.newest + 1;
    const key = placeOf(name, version);
    const sealed = await this.#seal.seal(key, value);
    const { from, reason, retires, kty, policy } = details;
    return {
      event: {
        event: 'secret-created',
        name,
        version,
        digest: encodeHex(await sha256(sealed)),
        from,
        reason,
        retires: [...retires],
        ...(kty === undefined ? {} : { kty }),
        ...(policy === undefined ? {} : { policy }),
      },
      change: { key, version: 0, value: sealed },
    };
  }

  /** The change that destroys a version's value. */
  async planDestruction(name: string, version: number): Promise<ValueChange> {
    const key = placeOf(name, version);
    const stored = await this.#store.value(key);
    return { key, version: stored.version, value: undefined };
  }

  /** A value; TamperedError where it is not the one of the log. */
  async open(name: string, record: VersionRecord): Promise<Bytes> {
    const key = placeOf(name, record.version);
    const { value } = await this.#store.value(key);
    if (value === undefined) throw new TamperedError('entry_missing', 'a sealed secret');
    if (encodeHex(await sha256(value)) !== record.digest)
      throw new TamperedError('entry_replaced', 'a sealed secret');
    return this.#seal.open(key, value);
  }

  /** The versions of a secret that live at a time, newest first. */
  async openLive(name: string, secret: SecretRecord, now: number): Promise<SecretVersion[]> {
    const live = liveVersions(secret, now).toReversed();
    return Promise.all(
      live.map(async (record) => {
        const { version, from, until } = record;
        const value = await this.open(name, record);
        return { version, value, from, ...(until === undefined ? {} : { until }) };
      }),
    );
  }
}

/** The versions that may still be used, oldest first. */
export function liveVersions({ versions }: SecretRecord, now: number): readonly VersionRecord[] {
  return versions.filter(({ until }) => until === undefined || until > now).slice(-64);
}

function placeOf(name: string, version: number): string {
  return `secret/${name}/${version}`;
}
