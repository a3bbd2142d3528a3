import type {
  HeadJudge,
  ReleasedSecret,
  TrustedManifest,
  Verification,
} from '@cloister/attestation';
import { MalformedError, type Bytes } from '@cloister/bytes';
import type { CallSigner, Fetch } from '@cloister/channel';
import type { HpkePrimitives } from '@cloister/crypto';
import { BrokerClient, type AttestedIdentity } from './broker-client.ts';
import { createHeadFeed, type HeadFeed } from './broker-heads.ts';
import { createHeadJudge } from './head-judge.ts';

/** What a service knows of the brokers of its deployment. */
export interface BrokerSessionOptions {
  readonly manifest: TrustedManifest;
  /** The service that asks, as the manifest names it, and the party whose heads give it time. */
  readonly service: string;
  readonly ownParty: string;
  /** The address of each party's broker; addresses only, they decide nothing. */
  readonly brokers: Readonly<Record<string, string>>;
  readonly transport: Fetch;
  /** The host's clock. */
  readonly now: () => Date;
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
  /** Goes on with the manifest that follows: brokers are verified anew, the heads stay. */
  follow(manifest: TrustedManifest): void;
}

/** What a service does with a counter. */
export type CounterKeeper = Pick<BrokerClient, 'readCounter' | 'advanceCounter'>;
/** What a service does with a secret besides asking for it. */
export type SecretKeeper = Pick<BrokerClient, 'destroyVersion'>;

/** Begins to deal with the brokers that a manifest names. */
export function createBrokerSession(options: BrokerSessionOptions): BrokerSession {
  const { service, brokers } = options;
  let { manifest } = options;
  const heads = createHeadFeed(options);
  const now = (): Date => heads.keeper.now();
  const clientOf = (owner: string | undefined, signCall?: CallSigner): BrokerClient => {
    const baseUrl = owner === undefined ? undefined : brokers[owner];
    if (baseUrl === undefined) throw new MalformedError('bad_value', 'brokers: one is missing');
    const { transport, random, primitives } = options;
    return new BrokerClient({ baseUrl, manifest, transport, now, random, signCall, primitives });
  };
  const ownerOf = (name: string): string | undefined =>
    (manifest.manifest.secrets ?? {})[name]?.owner;
  /** A client for as long as its manifest is in force: what it verified counts no longer. */
  const perManifest = (make: () => BrokerClient): (() => BrokerClient) => {
    let made: { readonly id: string; readonly client: BrokerClient } | undefined;
    return () => {
      if (made?.id !== manifest.id) made = { id: manifest.id, client: make() };
      return made.client;
    };
  };
  return {
    heads,
    judgeHeads: createHeadJudge(heads),
    now,
    askFor(name, identity) {
      const client = perManifest(() => clientOf(ownerOf(name)));
      const query = { name, service, identity };
      return (held) =>
        held === undefined ? client().fetchSecret(query) : client().renewLease(query, held);
    },
    counterKeeper(name, signCall) {
      const counters = (): Readonly<Record<string, { readonly owner: string }>> =>
        manifest.manifest.counters ?? {};
      const client = perManifest(() => clientOf(counters()[name]?.owner, signCall));
      return {
        readCounter: (...args) => client().readCounter(...args),
        advanceCounter: (...args) => client().advanceCounter(...args),
      };
    },
    secretKeeper(name, signCall) {
      const client = perManifest(() => clientOf(ownerOf(name), signCall));
      return { destroyVersion: (...args) => client().destroyVersion(...args) };
    },
    follow(next) {
      manifest = next;
      heads.keeper.follow(next);
    },
  };
}
