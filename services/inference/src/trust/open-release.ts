import { randomBytes } from 'node:crypto';
import type { HeadJudge } from '@cloister/attestation';
import type { Bytes } from '@cloister/bytes';
import type { Fetch } from '@cloister/channel';
import {
  createBrokerSession,
  currentVersion,
  type AttestedIdentity,
  type ManifestFollower,
} from '@cloister/client';
import type { HpkePrimitives } from '@cloister/crypto';
import {
  followHeads,
  keepLease,
  routeTemplate,
  watchManifest,
  type HeldLease,
} from '@cloister/service';
import type { InferenceLog } from '../events.ts';

/** What is asked of the brokers, and by whom. */
export interface ReleaseOptions {
  /** The manifest, as it changes. */
  readonly follower: ManifestFollower;
  /** Reads the manifest's file, which somebody may replace. */
  readonly readManifest: () => Promise<string>;
  /** The address of each party's broker. */
  readonly brokers: Readonly<Record<string, string>>;
  readonly identity: AttestedIdentity;
  readonly transport: Fetch;
  /** The host's clock. */
  readonly now: () => Date;
  readonly primitives?: HpkePrimitives;
  readonly log: InferenceLog;
}

/** What the provider's broker released, and the time that its heads give. */
export interface Release {
  /** The time: never behind the newest head of the provider's broker. */
  readonly now: () => Date;
  /** The hashes of the newest heads, for the runtime data. */
  readonly heads: () => readonly string[];
  readonly judgeHeads: HeadJudge;
  readonly lease: HeldLease;
  /** The key of the sealed models; undefined where no version has begun. */
  modelKey(): Bytes | undefined;
  close(): void;
}

/** The party whose manifest signature, key and heads count here (design 2.1, rules 2, 7 and 8). */
export const OWN_PARTY = 'diagnostics';
const SERVICE = 'inference';
const random = (length: number): Bytes => new Uint8Array(randomBytes(length));

/**
 * Gets the key of the models from the provider's broker (design 2.1, rules 6 and 7), follows the heads
 * of all brokers, and goes on with a newer manifest as soon as a head or the file names one. Waits
 * for a broker that is not there, and says so in the log.
 */
export async function openRelease(options: ReleaseOptions): Promise<Release> {
  const { follower, identity, log } = options;
  const session = createBrokerSession({
    ...options,
    random,
    monotonic: () => performance.now(),
    service: SERVICE,
    ownParty: OWN_PARTY,
  });
  const { now, catchUp } = session;
  follower.onChange(({ trust }) => log('manifest', { serial: trust.manifest.serial }));
  const lease = await keepLease({
    name: 'model-key',
    ask: session.askFor('model-key', identity),
    catchUp,
    now,
    onFailure: (code) =>
      log('lease_failed', { secret: routeTemplate('model-key'), code: routeTemplate(code) }),
  });
  // Not waited for: a lease that is being renewed may be what found the manifest.
  follower.onChange(() => void lease.renew());
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
    lease,
    modelKey: () => currentVersion(lease.secret, now())?.value,
    close: () => {
      stopFile();
      stopHeads();
      lease.stop();
    },
  };
}
