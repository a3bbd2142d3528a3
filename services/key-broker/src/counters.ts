import { signCounterReceipt } from '@cloister/attestation';
import type { Bytes } from '@cloister/bytes';
import type { Marker } from '@cloister/service';
import { BrokerError } from './broker-error.ts';
import type { ActiveBroker, Broker } from './broker.ts';
import type { BrokerEvent } from './journal/broker-event.ts';
import { requireSameManifest } from './trust/manifest-book.ts';

/** What is said of a counter, signed. */
export interface CounterAnswer {
  readonly receipt: string;
}

/** The monotonic counters of the manifest that this party owns (spec/key-broker.md 5.2). */
export class Counters {
  readonly #broker: Broker;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  /** The services that may advance a counter. */
  servicesOf(name: string): readonly string[] {
    return this.#agreement(this.#broker.requireActive(), name).to;
  }

  /** Where a counter stands, signed over the asker's nonce. */
  async read(name: string, nonce: Bytes): Promise<CounterAnswer> {
    await this.#broker.refresh();
    const active = this.#broker.requireActive();
    this.#agreement(active, name);
    return this.#receipt(active, name, nonce);
  }

  /**
   * Moves a counter from `expected` to `next`, with the digest that is anchored. Who comes second
   * gets `counter_conflict`, and the receipt of who came first; who repeats a move that succeeded
   * gets its receipt again.
   */
  async advance(
    name: string,
    move: {
      readonly expected: number;
      readonly next: number;
      readonly digest: string;
      readonly nonce: Bytes;
      readonly service: string;
      readonly marker?: Marker | undefined;
    },
  ): Promise<CounterAnswer> {
    const active = this.#broker.requireActive();
    if (!this.#agreement(active, name).to.includes(move.service))
      throw new BrokerError('counter_not_for_service');
    const { expected, next, digest, marker } = move;
    if (next <= expected) throw new BrokerError('counter_not_increasing');
    const moved = await active.journal.append((state) => {
      requireSameManifest(state, active.trust);
      const { value, digest: anchored } = state.counter(name);
      if (value === next && anchored === digest) return { events: [], result: true };
      if (value !== expected) return { events: [], result: false };
      const { service } = move;
      const event: BrokerEvent = { event: 'counter-advanced', name, value: next, digest, service };
      const markers = marker === undefined ? {} : { markers: [marker] };
      return { events: [event], ...markers, result: true };
    });
    const answer = await this.#receipt(active, name, move.nonce);
    if (!moved) throw new BrokerError('counter_conflict', answer);
    return answer;
  }

  /** Sets a counter on the word of the party's quorum: the audited way out after a restored backup. */
  async reset(
    name: string,
    reset: {
      readonly from: number;
      readonly value: number;
      readonly digest: string;
      readonly reason: string;
      readonly signers: readonly string[];
      readonly nonce: Bytes;
    },
  ): Promise<CounterAnswer> {
    const active = this.#broker.requireActive();
    this.#agreement(active, name);
    const { from, value, digest, reason } = reset;
    await active.journal.append((state) => {
      requireSameManifest(state, active.trust);
      if (state.counter(name).value !== from) throw new BrokerError('counter_conflict');
      const signers = [...reset.signers];
      return {
        events: [{ event: 'counter-reset', name, from, value, digest, reason, signers }],
        result: undefined,
      };
    });
    return this.#receipt(active, name, reset.nonce);
  }

  #agreement({ trust }: ActiveBroker, name: string): { readonly to: readonly string[] } {
    const { counters = {} } = trust.manifest;
    const agreement = Object.hasOwn(counters, name) ? counters[name] : undefined;
    if (agreement?.owner !== this.#broker.party) throw new BrokerError('counter_unknown');
    return agreement;
  }

  async #receipt(
    { journal, trust, keys }: ActiveBroker,
    name: string,
    nonce: Bytes,
  ): Promise<CounterAnswer> {
    const { value, digest } = journal.state.counter(name);
    const receipt = await signCounterReceipt(
      {
        deployment: trust.manifest.deployment,
        party: this.#broker.party,
        manifest: trust.id,
        name,
        value,
        digest,
        time: this.#broker.now(),
        nonce,
      },
      keys.signing,
    );
    return { receipt };
  }
}
