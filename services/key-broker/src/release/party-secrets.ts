import { encodeHex, type Bytes } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import type { Marker } from '@cloister/service';
import { BrokerError } from '../broker-error.ts';
import type { ActiveBroker, Broker } from '../broker.ts';
import type { BrokerEvent } from '../journal/broker-event.ts';
import { requireSameManifest } from '../trust/manifest-book.ts';
import { agreedSecret } from './leases.ts';
import { replacingVersion } from './secret-schedule.ts';

/** What the owner of secrets, and the services that use them, do with them besides asking for them. */
export class PartySecrets {
  readonly #broker: Broker;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  /**
   * Takes the value of an imported secret from its owner: the next version. The digest stands in what
   * the party's quorum signed.
   */
  async import(
    name: string,
    value: Bytes,
    details: {
      readonly digest: string;
      readonly kty?: 'oct' | 'RSA' | 'EC' | undefined;
      readonly policy?: string | undefined;
    },
  ): Promise<{ readonly version: number }> {
    const { journal, vault, trust } = this.#active(name);
    if (agreedSecret(trust, this.#broker.party, name).type !== 'imported')
      throw new BrokerError('not_importable', { detail: 'this broker makes it itself' });
    if (encodeHex(await sha256(value)) !== details.digest)
      throw new BrokerError('statement_refused', { detail: 'another digest' });
    const { kty, policy } = details;
    return journal.append(async (state) => {
      requireSameManifest(state, trust);
      const secret = state.secret(name);
      const from = this.#broker.now();
      const plan = { from, reason: 'imported', retires: [], kty, policy } as const;
      const { event, change } = await vault.plan(name, secret, value, plan);
      return { events: [event], values: [change], result: { version: event.version } };
    });
  }

  /** Makes the next version of a generated secret at once. */
  async rotate(name: string, marker?: Marker): Promise<{ readonly version: number }> {
    const { journal, vault, trust } = this.#active(name);
    const agreement = agreedSecret(trust, this.#broker.party, name);
    return journal.append(async (state) => {
      requireSameManifest(state, trust);
      const secret = state.secret(name);
      const now = this.#broker.now();
      const due = replacingVersion(secret, agreement, { now, reason: 'requested' });
      if (due === undefined)
        throw new BrokerError(agreement.type === 'imported' ? 'not_generated' : 'secret_absent');
      const value = await vault.generate(agreement, secret.newest + 1, trust.manifest);
      const { event, change } = await vault.plan(name, secret, value, due);
      return {
        events: [event],
        values: [change],
        ...(marker === undefined ? {} : { markers: [marker] }),
        result: { version: event.version },
      };
    });
  }

  /** Destroys a version that is not the newest: what it opened can then be opened by nobody. */
  async destroy(name: string, version: number, marker?: Marker): Promise<void> {
    const { journal, vault, trust } = this.#active(name);
    agreedSecret(trust, this.#broker.party, name);
    await journal.append(async (state) => {
      requireSameManifest(state, trust);
      const { versions, newest } = state.secret(name);
      if (version === newest || !versions.some((known) => known.version === version))
        throw new BrokerError('version_unknown', { detail: 'only versions that were replaced' });
      const event: BrokerEvent = { event: 'secret-destroyed', name, version };
      return {
        events: [event],
        values: [await vault.planDestruction(name, version)],
        ...(marker === undefined ? {} : { markers: [marker] }),
        result: undefined,
      };
    });
  }

  #active(name: string): ActiveBroker {
    const active = this.#broker.requireActive();
    agreedSecret(active.trust, this.#broker.party, name);
    return active;
  }
}
