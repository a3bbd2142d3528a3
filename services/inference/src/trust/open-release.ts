import { randomBytes } from 'node:crypto';
import type { HeadJudge, TrustedManifest } from '@cloister/attestation';
import type { Bytes } from '@cloister/bytes';
import type { Fetch } from '@cloister/channel';
import { createBrokerSession, currentVersion, type AttestedIdentity } from '@cloister/client';
import { followHeads, keepLease, routeTemplate, type HeldLease } from '@cloister/service';
import type { InferenceLog } from '../events.ts';

/** What is asked of the brokers, and by whom. */
export interface ReleaseOptions {
  readonly manifest: TrustedManifest;
  /** The address of each party's broker. */
  readonly brokers: Readonly<Record<string, string>>;
  readonly identity: AttestedIdentity;
  readonly transport: Fetch;
  /** The host's clock. */
  readonly now: () => Date;
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
 * Gets the key of the models from the provider's broker (design 2.1, rules 6 and 7), and follows the
 * heads of all brokers. Waits for a broker that is not there, and says so in the log.
 */
export async function openRelease(options: ReleaseOptions): Promise<Release> {
  const { manifest, identity, log } = options;
  const session = createBrokerSession({
    ...options,
    random,
    service: SERVICE,
    ownParty: OWN_PARTY,
  });
  const { now } = session;
  const lease = await keepLease({
    name: 'model-key',
    ask: session.askFor('model-key', identity),
    now,
    onFailure: (code) =>
      log('lease_failed', { secret: routeTemplate('model-key'), code: routeTemplate(code) }),
  });
  const stop = await followHeads({
    refresh: () => session.heads.refresh(),
    lease: manifest.manifest.lease,
    onFailure: (code) => log('heads_failed', { code: routeTemplate(code) }),
  });
  return {
    now,
    heads: () => session.heads.keeper.hashes(),
    judgeHeads: session.judgeHeads,
    lease,
    modelKey: () => currentVersion(lease.secret, now())?.value,
    close: () => {
      stop();
      lease.stop();
    },
  };
}
