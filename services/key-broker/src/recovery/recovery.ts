import { decodeUtf8, type JsonValue } from '@cloister/bytes';
import type { Jwk } from '@cloister/crypto';
import type { Random } from '@cloister/sealing';
import type { Store } from '@cloister/service';
import { BrokerError } from '../broker-error.ts';
import type { Broker } from '../broker.ts';
import {
  checkShare,
  encodeRecoverySet,
  labelOf,
  makeRecoverySet,
  parseRecoverySet,
  parseShare,
  type RecoverySet,
  type Share,
} from './recovery-set.ts';
import { combineShares } from './shamir.ts';

/** How far a recovery has come. */
export interface RecoveryProgress {
  readonly k: number;
  readonly n: number;
  readonly received: number;
  /** Hash of the set: it stands in the label of each share. */
  readonly set: string;
}

const PLACE = 'recovery-set';

/**
 * Recovery by people of the broker's own party (spec/key-broker.md 5.3): k of n shares of the key
 * that seals the state. Never one human: k is at least two.
 */
export class Recovery {
  readonly #broker: Broker;
  readonly #store: Store;
  readonly #random: Random;
  readonly #shares = new Map<number, Share>();

  constructor(broker: Broker, { store, random }: { store: Store; random: Random }) {
    this.#broker = broker;
    this.#store = store;
    this.#random = random;
  }

  /** Makes a new set, which ends the one before. Gives each person's share, encrypted to that person. */
  async makeSet(request: {
    readonly k: number;
    readonly recipients: readonly Jwk[];
    readonly signers: readonly string[];
  }): Promise<{ readonly set: string; readonly shares: readonly string[] }> {
    const { journal, keys } = this.#broker.requireActive();
    const { set, shares } = await makeRecoverySet(keys.seal.stateKey, request, this.#random);
    const hash = hashOf(set);
    await journal.append(async () => {
      const { version } = await this.#store.value(PLACE);
      const signers = [...request.signers];
      return {
        events: [{ event: 'recovery-set', k: set.k, n: set.n, set: hash, signers }],
        values: [{ key: PLACE, version, value: encodeRecoverySet(set) }],
        result: undefined,
      };
    });
    return { set: hash, shares };
  }

  /** The set that counts, and how many of its shares have come. */
  async progress(): Promise<RecoveryProgress | undefined> {
    const set = await this.#set();
    if (set === undefined) return undefined;
    return { k: set.k, n: set.n, received: this.#shares.size, set: hashOf(set) };
  }

  /**
   * Takes one share. Each is checked for itself, so a wrong one is noticed at once and by name; with
   * the last that is needed, the broker opens.
   */
  async addShare(value: JsonValue): Promise<RecoveryProgress> {
    if (this.#broker.phase !== 'sealed') throw new BrokerError('already_active');
    const set = await this.#set();
    if (set === undefined) throw new BrokerError('no_recovery_set');
    const share = parseShare(value);
    checkShare(share, set);
    if (this.#shares.has(share.x)) throw new BrokerError('share_repeated');
    this.#shares.set(share.x, share);
    const progress = { k: set.k, n: set.n, received: this.#shares.size, set: hashOf(set) };
    if (this.#shares.size < set.k) return progress;
    const shares = [...this.#shares.values()];
    // Whatever comes of it, the shares are not kept.
    this.#shares.clear();
    const { set: opening } = progress;
    await this.#broker.unseal(combineShares(shares), { event: 'recovered', set: opening });
    for (const { y } of shares) y.fill(0);
    return progress;
  }

  async #set(): Promise<RecoverySet | undefined> {
    const { value } = await this.#store.value(PLACE);
    return value === undefined ? undefined : parseRecoverySet(decodeUtf8(value, 'recovery set'));
  }
}

function hashOf(set: RecoverySet): string {
  return labelOf(set).split('|').at(-1) ?? '';
}
