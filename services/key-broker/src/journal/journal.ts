import { createHash } from 'node:crypto';
import {
  copyBytes,
  canonicalJson,
  decodeHex,
  decodeUtf8,
  encodeHex,
  encodeUtf8,
  equalBytes,
  parseJsonObject,
  type Bytes,
} from '@cloister/bytes';
import { TamperedError } from '@cloister/sealing';
import {
  StoreError,
  type Marker,
  type Store,
  type StoreHead,
  type ValueChange,
} from '@cloister/service';
import { BrokerError } from '../broker-error.ts';
import type { StateSeal } from '../keys/state-seal.ts';
import { encodeEvent, parseEvent, type BrokerEvent } from './broker-event.ts';
import { BrokerState } from './broker-state.ts';
import { MerkleLog } from './merkle-log.ts';

/** What happens next, and what is stored in the same transaction. */
export interface Step<T> {
  readonly events: readonly BrokerEvent[];
  readonly values?: readonly ValueChange[];
  readonly markers?: readonly Marker[];
  readonly result: T;
}

/** What a journal is opened with. */
export interface JournalOptions {
  readonly store: Store;
  readonly seal: StateSeal;
  /** Seconds since 1970, never behind the journal's own last event. */
  readonly now: () => number;
}

const HEAD = 'head';
const START: StoreHead = { position: 0, hash: new Uint8Array(0) };
const MAX_ATTEMPTS = 16;

/**
 * The broker's audit log, its state, and the tree over it. The head is sealed with the state key
 * and changes with every entry, so a host can put back an older whole, and nothing in between:
 * against the older whole stands the witness. Several processes may share a store: whoever loses
 * a race reads what the other wrote and decides again.
 */
export class Journal {
  readonly #store: Store;
  readonly #seal: StateSeal;
  readonly #now: () => number;
  readonly tree: MerkleLog = new MerkleLog();
  readonly state: BrokerState = new BrokerState();
  #head: StoreHead = START;
  #headVersion = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ store, seal, now }: JournalOptions) {
    this.#store = store;
    this.#seal = seal;
    this.#now = now;
  }

  /** The time by which the broker acts: the host's clock, never behind its own last event. */
  now(): number {
    return Math.max(Math.floor(this.#now()), this.state.last);
  }

  /** Reads what was written since; TamperedError where it is not what this broker wrote. */
  async refresh(): Promise<void> {
    await this.#alone(() => this.#catchUp());
  }

  /**
   * Appends what `plan` decides on the newest state. It may run several times, and must not have
   * effects of its own. Durable when it resolves; a plan without events writes nothing.
   */
  async append<T>(plan: (state: BrokerState) => Step<T> | Promise<Step<T>>): Promise<T> {
    return this.#alone(async () => {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
        await this.#catchUp();
        const step = await plan(this.state);
        if (step.events.length === 0 && step.values === undefined) return step.result;
        if (await this.#commit(step)) return step.result;
      }
      throw new BrokerError('busy');
    });
  }

  /** One after the other: the state must not change between a decision and its commit. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#turn.then(work);
    this.#turn = next.catch(() => undefined);
    return next;
  }

  async #commit({ events, values = [], markers }: Step<unknown>): Promise<boolean> {
    const at = this.now();
    const contents = events.map((event) => encodeEvent({ ...event, at }));
    let head = this.#head;
    const entries = contents.map((content) => {
      head = follow(head, content);
      return { ...head, header: new Uint8Array(0), content };
    });
    const sealed = await this.#seal.seal(HEAD, encodeHead(head));
    try {
      await this.#store.commit({
        append: { after: this.#head, entries },
        values: [...values, { key: HEAD, version: this.#headVersion, value: sealed }],
        ...(markers === undefined ? {} : { markers }),
      });
    } catch (error) {
      if (error instanceof StoreError && error.code === 'conflict') return false;
      throw brokerErrorOf(error);
    }
    for (const content of contents) this.#take(content);
    this.#head = head;
    this.#headVersion += 1;
    return true;
  }

  async #catchUp(): Promise<void> {
    let stored: Awaited<ReturnType<Store['value']>>;
    try {
      stored = await this.#store.value(HEAD);
    } catch (error) {
      throw brokerErrorOf(error);
    }
    const { version, value } = stored;
    if (version === this.#headVersion) return;
    if (value === undefined || version < this.#headVersion)
      throw new TamperedError('log_truncated', 'the sealed head of the log');
    const target = decodeHead(await this.#seal.open(HEAD, value));
    if (target.position < this.#head.position)
      throw new TamperedError('log_truncated', `log entry ${this.#head.position}`);
    let head = this.#head;
    const contents: Bytes[] = [];
    for await (const entry of this.#store.entries(head.position + 1)) {
      if (head.position === target.position) break;
      head = follow(head, entry.content);
      if (entry.position !== head.position || !equalBytes(entry.hash, head.hash))
        throw new TamperedError('chain_broken', `log entry ${head.position}`);
      contents.push(entry.content);
    }
    if (head.position !== target.position)
      throw new TamperedError('log_truncated', `log entry ${target.position}`);
    if (!equalBytes(head.hash, target.hash))
      throw new TamperedError('chain_broken', `log entry ${target.position}`);
    for (const content of contents) this.#take(content);
    this.#head = head;
    this.#headVersion = version;
  }

  #take(content: Bytes): void {
    this.tree.append(content);
    this.state.apply(parseEvent(content));
  }
}

/** The chain: each hash is over the one before and the entry. */
function follow({ position, hash }: StoreHead, content: Uint8Array): StoreHead {
  const digest = createHash('sha256').update('cloister-broker-log').update(hash).update(content);
  return { position: position + 1, hash: copyBytes(digest.digest()) };
}

function encodeHead({ position, hash }: StoreHead): Bytes {
  return encodeUtf8(canonicalJson({ position, hash: encodeHex(hash) }));
}

function decodeHead(bytes: Uint8Array): StoreHead {
  const { position, hash } = parseJsonObject(decodeUtf8(bytes), 'sealed head');
  if (typeof position !== 'number' || typeof hash !== 'string')
    throw new TamperedError('not_authentic', 'sealed head');
  return { position, hash: decodeHex(hash, 'sealed head') };
}

/** What a store's failure means to whoever asked the broker. */
export function brokerErrorOf(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  if (error.code === 'replayed') return new BrokerError('replayed', {}, { cause: error });
  if (error.code === 'full') return new BrokerError('store_full', {}, { cause: error });
  return new BrokerError('store_unavailable', { reason: error.code }, { cause: error });
}
