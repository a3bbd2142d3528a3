import type { HeadJudge, ReleasedSecret, TrustedManifest } from '@cloister/attestation';
import type { CallSigner, Fetch, Gateway } from '@cloister/channel';
import { type AttestedIdentity, type BrokerClient, createBrokerSession } from '@cloister/client';
import type { HpkePrimitives } from '@cloister/crypto';
import type { Random, SealingKey } from '@cloister/sealing';
import { followHeads, guardByLeases, keepLease, type Log, routeTemplate } from '@cloister/service';
import type { ChannelKeySource } from '../channel-keys.ts';
import type { RecordsEvents } from '../events.ts';
import { createReleasedChannelKeys, tenantKeysOf } from './released-keys.ts';

/** What is asked of the brokers, and by whom. */
export interface ReleasesOptions {
  readonly manifest: TrustedManifest;
  /** The address of each party's broker. */
  readonly brokers: Readonly<Record<string, string>>;
  readonly identity: AttestedIdentity;
  readonly transport: Fetch;
  /** The host's clock. */
  readonly now: () => Date;
  readonly random: Random;
  readonly primitives?: HpkePrimitives;
  readonly log: Log<RecordsEvents>;
  /** Told after the lease of the channel's keys was renewed. */
  readonly onRenewed: () => Promise<void>;
}

/** What the hospital's broker released, and the time that its heads give. */
export interface Releases {
  /** The time: never behind the newest head of the hospital's broker. */
  readonly now: () => Date;
  /** The hashes of the newest heads, for the runtime data. */
  readonly heads: () => readonly string[];
  readonly judgeHeads: HeadJudge;
  readonly channelKeys: ChannelKeySource;
  /** The tenant key as it was released: other keys are derived of it. */
  readonly tenantSecret: ReleasedSecret;
  tenantKeys(): Promise<readonly SealingKey[]>;
  counterKeeper(name: string, signCall: CallSigner): BrokerClient;
  /** Whether all leases run. */
  isServing(): boolean;
  /** Refuses whatever comes after a lease has ended. */
  guard(gateway: Gateway): Gateway;
  close(): void;
}

const SERVICE = 'records';
const OWN_PARTY = 'hospital';

/**
 * Gets the tenant key and the channel key from the hospital's broker (design 2.1, rules 6 and 7), and
 * follows the heads of all brokers. Waits for a broker that is not there, and says so in the log.
 */
export async function openReleases(options: ReleasesOptions): Promise<Releases> {
  const { manifest, identity, log, primitives } = options;
  const session = createBrokerSession({ ...options, service: SERVICE, ownParty: OWN_PARTY });
  const { now } = session;
  const lease = (name: string, onRenewed?: () => Promise<void>) =>
    keepLease({
      name,
      ask: session.askFor(name, identity),
      now,
      onFailure: (code) =>
        log('lease_failed', { secret: routeTemplate(name), code: routeTemplate(code) }),
      ...(onRenewed === undefined ? {} : { onRenewed }),
    });
  const [tenant, channel] = await Promise.all([
    lease('tenant-key'),
    lease('channel-key', options.onRenewed),
  ]);
  const stop = await followHeads({
    refresh: () => session.heads.refresh(),
    lease: manifest.manifest.lease,
    onFailure: (code) => log('heads_failed', { code: routeTemplate(code) }),
  });
  const leases = [tenant, channel];
  return {
    now,
    heads: () => session.heads.keeper.hashes(),
    judgeHeads: session.judgeHeads,
    channelKeys: createReleasedChannelKeys({
      secret: () => channel.secret,
      kems: manifest.manifest.services[SERVICE]?.config?.kems ?? ['x-wing'],
      now,
      ...(primitives === undefined ? {} : { primitives }),
    }),
    tenantSecret: tenant.secret,
    tenantKeys: () => tenantKeysOf(tenant.secret, now()),
    counterKeeper: (name, signCall) => session.counterKeeper(name, signCall),
    isServing: () => leases.every((one) => one.isRunning()),
    guard: (gateway) => guardByLeases(gateway, leases),
    close: () => {
      stop();
      for (const one of leases) one.stop();
    },
  };
}
