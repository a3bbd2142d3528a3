import type { TrustedManifest, Verification } from '@cloister/attestation';
import { createHeadFeed, followBroker, ManifestFollower } from '@cloister/client';
import {
  ConfigError,
  errorCode,
  followHeads,
  UnavailableError,
  type Fetch,
} from '@cloister/service';
import type { GateTrust } from './authenticate.ts';
import { judgeByFeed, type NamedHeadJudge } from './judge-heads.ts';
import { watchManifestFile, type ManifestFile } from './manifest-file.ts';
import { readableRolesOf, rolesOf } from './roles.ts';

/** The party without whose signature nothing binds the gate, and whose heads give it time. */
export const OWN_PARTY = 'hospital';

/** By what the gate begins to trust, and who is told what comes of it. */
export interface OpenTrustOptions {
  /** The host's wall clock, milliseconds since 1970: it may be set to anything. */
  readonly wall: () => number;
  /** A clock that only runs on, milliseconds from anywhere. */
  readonly monotonic: () => number;
  /** The manifest by which it starts. */
  readonly first: TrustedManifest;
  /** Reads the manifest's file. */
  readonly readManifest: () => Promise<string>;
  /** The address of each party's broker; addresses only, they decide nothing. */
  readonly brokers: Readonly<Record<string, string>>;
  readonly transport: Fetch;
  /** Told once for each file, or each answer of the broker, that does not count. */
  readonly onRefused: (code: string) => void;
  /** Told when the heads begin to give no time, or do so for another reason. */
  readonly onHeadsFailed: (code: string) => void;
}

/** What the gate goes by: the manifest in force, and the time that the hospital's heads give. */
export interface OpenedTrust {
  readonly current: () => GateTrust;
  /** Has somebody told of every change of the manifest; `unreadable` roles give nothing. */
  readonly onChange: (listener: (trust: GateTrust, unreadable: number) => void) => void;
  /** Milliseconds since 1970: never behind the newest head. */
  readonly now: () => number;
  /** For the runtime data: the manifest in force, and the one before while it is bridged. */
  readonly manifests: () => readonly string[];
  /** For the runtime data: the hashes of the newest heads. */
  readonly heads: () => readonly string[];
  readonly judgeHeads: NamedHeadJudge;
  /** Whether the newest head of the own party gives time: if not, nobody is admitted. */
  readonly hasTime: () => boolean;
  /** Seconds since the newest head of the own party; undefined where there is none. */
  readonly headAge: () => number | undefined;
  readonly file: ManifestFile;
  /** After the brokers were asked for the first time. */
  readonly asked: Promise<void>;
  /** Rejects with ConfigError where the first head says that something is wrong: see `followHeads`. */
  readonly failed: Promise<never>;
  readonly stop: () => void;
}

/**
 * Follows the manifest, from its file and from the hospital's broker, and the heads (design 2.1,
 * rules 1, 2 and 8). Throws ConfigError where the first manifest's roles cannot be read, or the
 * hospital's broker has no address.
 */
export function openTrust(options: OpenTrustOptions): OpenedTrust {
  const { first, brokers, transport, onRefused } = options;
  const baseUrl = brokers[OWN_PARTY];
  if (baseUrl === undefined) throw new ConfigError(`brokers: that of the ${OWN_PARTY} is needed`);
  // Never behind the newest head, and runs on from it, whatever the host does with its clock.
  const date = (): Date => feed.keeper.now();
  const now = (): number => date().getTime();
  const follower = new ManifestFollower({ first, ownParty: OWN_PARTY, now: date });
  const feed = createHeadFeed({
    manifest: first,
    ownParty: OWN_PARTY,
    now: () => new Date(options.wall()),
    monotonic: options.monotonic,
    transport,
    brokers,
  });
  const newest = (): ReturnType<typeof feed.keeper.newest> => feed.keeper.newest();
  const listeners: ((trust: GateTrust, unreadable: number) => void)[] = [];
  let current: GateTrust = { agreement: follower.agreement, roles: rolesOf(first) };
  follower.onChange((agreement) => {
    feed.keeper.follow(agreement.trust, agreement.bridge);
    const { roles, unreadable } = readableRolesOf(agreement.trust);
    current = { agreement, roles };
    for (const listener of listeners) listener(current, unreadable);
  });

  let stopped = false;
  let said: string | undefined;
  /** Says once what is wrong with the heads, and again after they were good. */
  const complain = (code: string): void => {
    if (code !== said && !stopped) options.onHeadsFailed(code);
    said = code;
  };
  const ask = async (
    question: () => Promise<Verification<unknown>>,
  ): Promise<Verification<unknown>> => {
    // Who waits for the first head would wait on.
    if (stopped) throw new UnavailableError('shutting_down', 'heads');
    const verdict = await question();
    if (verdict.ok) said = undefined;
    return verdict;
  };
  let refused: string | undefined;
  const catchUp = async (): Promise<void> => {
    try {
      const offer = await followBroker(follower, { baseUrl, transport });
      if (offer.refused !== undefined && offer.refused !== refused) onRefused(offer.refused);
      ({ refused } = offer);
    } catch (error) {
      // Whatever failed on the way: the heads go on saying that there is a newer one.
      if (!(error instanceof Error && 'code' in error)) throw error;
      complain(errorCode(error));
    }
  };
  const asked = Promise.withResolvers<void>();
  const following = followHeads({
    refresh: () => ask(() => feed.refresh()).finally(asked.resolve),
    next: feed.next.map((wait) => () => ask(wait)),
    catchUp,
    lease: first.manifest.lease,
    onFailure: complain,
  });
  const failed = Promise.withResolvers<never>();
  // Whether anybody waits for it, and when, is no matter of this function.
  failed.promise.catch(() => undefined);
  following.catch(failed.reject);

  return {
    current: () => current,
    onChange: (listener) => void listeners.push(listener),
    now,
    manifests: () => follower.ids,
    heads: () => feed.keeper.hashes(),
    judgeHeads: judgeByFeed(feed),
    hasTime: () => feed.keeper.check().ok,
    headAge: () => {
      const head = newest();
      return head === undefined ? undefined : now() / 1000 - head.time;
    },
    file: watchManifestFile({
      follower,
      ownParty: OWN_PARTY,
      read: options.readManifest,
      onRefused,
    }),
    asked: asked.promise,
    failed: failed.promise,
    stop: () => {
      stopped = true;
      following.then(
        (stop) => stop(),
        () => undefined,
      );
    },
  };
}
