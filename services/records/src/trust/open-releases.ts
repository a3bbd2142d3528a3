import type { HeadJudge } from '@cloister/attestation';
import type { CallSigner, Fetch, Gateway } from '@cloister/channel';
import {
  type AttestedIdentity,
  type CounterKeeper,
  createBrokerSession,
  type ManifestFollower,
} from '@cloister/client';
import type { HpkePrimitives } from '@cloister/crypto';
import type { Random } from '@cloister/sealing';
import {
  followHeads,
  guardByLeases,
  keepLease,
  type Log,
  routeTemplate,
  watchManifest,
} from '@cloister/service';
import type { ChannelKeySource } from '../channel-keys.ts';
import type { RecordsEvents } from '../events.ts';
import { createReleasedChannelKeys, type KeyVersions } from './released-keys.ts';

/** What the hospital's keys and the time are asked with, wherever they come from. */
export interface KeySourceOptions {
  /** The manifest, as it changes. */
  readonly follower: ManifestFollower;
  /** Reads the manifest's file, which somebody may replace. */
  readonly readManifest: () => Promise<string>;
  /** The address of each party's broker. */
  readonly brokers: Readonly<Record<string, string>>;
  readonly transport: Fetch;
  /** The host's clock. */
  readonly now: () => Date;
  readonly random: Random;
  readonly primitives?: HpkePrimitives;
  readonly log: Log<RecordsEvents>;
  /** Told after the lease of the channel's keys was renewed. */
  readonly onChannelKeys: () => Promise<void>;
  /** Told after the lease of the tenant key was renewed. */
  readonly onTenantKeys: () => Promise<void>;
}

/** What is asked of the hospital's broker, and by whom. */
export interface ReleasesOptions extends KeySourceOptions {
  readonly identity: AttestedIdentity;
}

/** What the hospital's broker or vault released, and the time that heads give. */
export interface Releases {
  /** The time: never behind the newest head of the hospital's broker, where it has one. */
  readonly now: () => Date;
  /** The hashes of the newest heads, for the runtime data. */
  readonly heads: () => readonly string[];
  /** Absent where the hospital has no broker, and so no heads. */
  readonly judgeHeads: HeadJudge | undefined;
  readonly channelKeys: ChannelKeySource;
  /** The tenant key as it was released last: other keys are derived of it. */
  readonly tenantSecret: () => KeyVersions;
  /** Asks for the newest versions of the tenant key now. */
  renewTenantKeys(): Promise<void>;
  counterKeeper(name: string, signCall: CallSigner): CounterKeeper;
  /** Has an old version of the tenant key destroyed; absent where nobody can be told to. */
  readonly destroyTenantKey: ((version: number, signCall: CallSigner) => Promise<void>) | undefined;
  /** Whether all leases run. */
  isServing(): boolean;
  /** Refuses whatever comes after a lease has ended. */
  guard(gateway: Gateway): Gateway;
  close(): void;
}

/** Who asks, for whom, and for what. */
export const SERVICE = 'records';
export const OWN_PARTY = 'hospital';
export const TENANT_KEY = 'tenant-key';

/**
 * Gets the tenant key and the channel key from the hospital's broker (design 2.1, rules 6 and 7),
 * follows the heads of all brokers, and goes on with a newer manifest as soon as a head or the file
 * names one: what this service is given under it, it asks for at once. Waits for a broker that is
 * not there, and says so in the log.
 */
export async function openReleases(options: ReleasesOptions): Promise<Releases> {
  const { follower, identity, log, primitives } = options;
  const session = createBrokerSession({
    ...options,
    monotonic: () => performance.now(),
    service: SERVICE,
    ownParty: OWN_PARTY,
  });
  const { now, catchUp } = session;
  follower.onChange(({ trust }) => log('manifest', { serial: trust.manifest.serial }));
  const lease = (name: string, onRenewed: () => Promise<void>) =>
    keepLease({
      name,
      ask: session.askFor(name, identity),
      catchUp,
      now,
      onFailure: (code) =>
        log('lease_failed', { secret: routeTemplate(name), code: routeTemplate(code) }),
      onRenewed,
    });
  const [tenant, channel] = await Promise.all([
    lease(TENANT_KEY, options.onTenantKeys),
    lease('channel-key', options.onChannelKeys),
  ]);
  const leases = [tenant, channel];
  follower.onChange(() => {
    // Not waited for: a lease that is being renewed may be what found the manifest.
    for (const one of leases) void one.renew();
  });
  const stopHeads = await followHeads({
    refresh: () => session.heads.refresh(),
    next: session.heads.next,
    catchUp,
    lease: follower.trust.manifest.lease,
    onFailure: (code) => log('heads_failed', { code: routeTemplate(code) }),
  });
  const stopFile = watchManifest({
    read: options.readManifest,
    offer: (texts) => follower.offer(texts),
    onRefused: (code) => log('manifest_refused', { code }),
  });
  return {
    now,
    heads: () => session.heads.keeper.hashes(),
    judgeHeads: session.judgeHeads,
    channelKeys: createReleasedChannelKeys({
      secret: () => channel.secret,
      kems: () => follower.trust.manifest.services[SERVICE]?.config?.kems ?? ['x-wing'],
      now,
      ...(primitives === undefined ? {} : { primitives }),
    }),
    tenantSecret: () => tenant.secret,
    renewTenantKeys: () => tenant.renew(),
    counterKeeper: (name, signCall) => session.counterKeeper(name, signCall),
    destroyTenantKey: (version, signCall) =>
      session.secretKeeper(TENANT_KEY, signCall).destroyVersion(TENANT_KEY, version),
    isServing: () => leases.every((one) => one.isRunning()),
    guard: (gateway) => guardByLeases(gateway, leases),
    close: () => {
      stopFile();
      stopHeads();
      for (const one of leases) one.stop();
    },
  };
}
