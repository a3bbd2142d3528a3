import type {
  HeadJudge,
  ReleasedSecret,
  TrustedManifest,
  Verification,
} from '@cloister/attestation';
import { MalformedError, type Bytes } from '@cloister/bytes';
import type { CallSigner, Fetch } from '@cloister/channel';
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
  /** The broker that keeps a counter of the manifest; the signer proves who calls. */
  counterKeeper(name: string, signCall: CallSigner): BrokerClient;
}

/** Begins to deal with the brokers that a manifest names. */
export function createBrokerSession(options: BrokerSessionOptions): BrokerSession {
  const { manifest, service, brokers } = options;
  const heads = createHeadFeed(options);
  const now = (): Date => heads.keeper.now();
  const clientOf = (owner: string | undefined, signCall?: CallSigner): BrokerClient => {
    const baseUrl = owner === undefined ? undefined : brokers[owner];
    if (baseUrl === undefined) throw new MalformedError('bad_value', 'brokers: one is missing');
    const { transport, random } = options;
    return new BrokerClient({ baseUrl, manifest, transport, now, random, signCall });
  };
  return {
    heads,
    judgeHeads: createHeadJudge(heads),
    now,
    askFor(name, identity) {
      const { secrets = {} } = manifest.manifest;
      const client = clientOf(secrets[name]?.owner);
      const query = { name, service, identity };
      return (held) =>
        held === undefined ? client.fetchSecret(query) : client.renewLease(query, held);
    },
    counterKeeper: (name, signCall) =>
      clientOf((manifest.manifest.counters ?? {})[name]?.owner, signCall),
  };
}
