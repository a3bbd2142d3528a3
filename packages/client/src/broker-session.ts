import type { HeadJudge, ReleasedSecret, Verification } from '@cloister/attestation';
import { MalformedError, type Bytes } from '@cloister/bytes';
import type { CallSigner, Fetch } from '@cloister/channel';
import type { HpkePrimitives } from '@cloister/crypto';
import { BrokerClient, type AttestedIdentity } from './broker-client.ts';
import { createHeadFeed, unlessUnavailable, type HeadFeed } from './broker-heads.ts';
import { createHeadJudge } from './head-judge.ts';
import { followBroker, type ManifestFollower } from './manifest-follower.ts';

/** What a service knows of the brokers of its deployment. */
export interface BrokerSessionOptions {
  /** The manifest by which the brokers are known, as it changes. */
  readonly follower: ManifestFollower;
  /** The service that asks, as the manifest names it, and the party whose heads give it time. */
  readonly service: string;
  readonly ownParty: string;
  /** The address of each party's broker; addresses only, they decide nothing. */
  readonly brokers: Readonly<Record<string, string>>;
  readonly transport: Fetch;
  /** The host's clock. */
  readonly now: () => Date;
  /** A clock that only runs on, milliseconds from anywhere: see `HeadKeeper`. */
  readonly monotonic?: (() => number) | undefined;
  readonly random: (length: number) => Bytes;
  /** WebCrypto unless given; in Node `nodeChannelPrimitives()`. */
  readonly primitives?: HpkePrimitives | undefined;
}

/** A service's dealings with the brokers: time from their heads, secrets under leases, counters. */
export interface BrokerSession {
  readonly heads: HeadFeed;
  /** Whether what a peer names is recent (design 2.1, rule 8). */
  readonly judgeHeads: HeadJudge;
  /** The time: never behind the newest head of the own party. */
  readonly now: () => Date;
  /** Asks for a secret of the manifest at its owner's broker; for a renewal where one is held. */
  askFor(
    name: string,
    identity: AttestedIdentity,
  ): (held: ReleasedSecret | undefined) => Promise<Verification<ReleasedSecret>>;
  /** The broker that keeps a counter of the manifest in force; the signer proves who calls. */
  counterKeeper(name: string, signCall: CallSigner): CounterKeeper;
  /** The broker that made a secret of the manifest in force; the signer proves who calls. */
  secretKeeper(name: string, signCall: CallSigner): SecretKeeper;
  /**
   * Asks the own party's broker for a newer manifest, or the others where it has none, not more often
   * than every second. A broker that cannot be reached has none.
   */
  readonly catchUp: () => Promise<void>;
}

/** What a service does with a counter. */
export type CounterKeeper = Pick<BrokerClient, 'readCounter' | 'advanceCounter'>;
/** What a service does with a secret besides asking for it. */
export type SecretKeeper = Pick<BrokerClient, 'destroyVersion'>;

const LOOK_MS = 1000;

/**
 * Begins to deal with the brokers that a manifest names, and goes on with the manifest that follows:
 * the brokers are verified anew then, the heads stay.
 */
export function createBrokerSession(options: BrokerSessionOptions): BrokerSession {
  const { service, ownParty, brokers, follower, transport } = options;
  const heads = createHeadFeed({ ...options, manifest: follower.trust });
  follower.onChange(({ trust, bridge }) => heads.keeper.follow(trust, bridge));
  const now = (): Date => heads.keeper.now();
  follower.goBy(now);
  const clientOf = (owner: string | undefined, signCall?: CallSigner): BrokerClient => {
    const baseUrl = owner === undefined ? undefined : brokers[owner];
    if (baseUrl === undefined) throw new MalformedError('bad_value', 'brokers: one is missing');
    const { random, primitives } = options;
    const manifest = follower.trust;
    return new BrokerClient({ baseUrl, manifest, transport, now, random, signCall, primitives });
  };
  const ownerOf = (kind: 'secrets' | 'counters', name: string): string | undefined =>
    (follower.trust.manifest[kind] ?? {})[name]?.owner;
  /** A client for as long as its manifest is in force: what it verified counts no longer. */
  const perManifest = (make: () => BrokerClient): (() => BrokerClient) => {
    let made: { readonly id: string; readonly client: BrokerClient } | undefined;
    return () => {
      const { id } = follower.trust;
      if (made?.id !== id) made = { id, client: make() };
      return made.client;
    };
  };
  const own = brokers[ownParty];
  // Without a broker of its own any other will do: what it names is signed, or does not count.
  const sources = own === undefined ? Object.values(brokers) : [own];
  let looking: Promise<unknown> | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  const catchUp = async (): Promise<void> => {
    const time = options.now().getTime();
    // Whoever shows a foreign manifest again and again does not have the broker asked each time.
    if (looking === undefined && time >= lookedAt && time - lookedAt < LOOK_MS) return;
    lookedAt = time;
    looking ??= Promise.all(
      sources.map((baseUrl) =>
        unlessUnavailable(() => followBroker(follower, { baseUrl, transport })),
      ),
    ).finally(() => {
      looking = undefined;
    });
    await looking;
  };
  /** Once more, where the broker goes by a newer manifest. */
  const caughtUp = async <T>(call: () => Promise<Verification<T>>): Promise<Verification<T>> => {
    const verdict = await call();
    if (verdict.ok || verdict.code !== 'manifest_mismatch') return verdict;
    await catchUp();
    return call();
  };
  return {
    heads,
    judgeHeads: createHeadJudge(heads),
    now,
    askFor(name, identity) {
      const client = perManifest(() => clientOf(ownerOf('secrets', name)));
      const query = { name, service, identity };
      return (held) =>
        held === undefined ? client().fetchSecret(query) : client().renewLease(query, held);
    },
    counterKeeper(name, signCall) {
      const client = perManifest(() => clientOf(ownerOf('counters', name), signCall));
      return {
        readCounter: (...args) => caughtUp(() => client().readCounter(...args)),
        advanceCounter: (...args) => caughtUp(() => client().advanceCounter(...args)),
      };
    },
    secretKeeper(name, signCall) {
      const client = perManifest(() => clientOf(ownerOf('secrets', name), signCall));
      return { destroyVersion: (...args) => client().destroyVersion(...args) };
    },
    catchUp,
  };
}
