import { CheckList } from '../check-list.ts';
import type { ManifestBridge, TrustedManifest } from '../manifest/trusted-manifest.ts';
import type { Verification } from '../verification.ts';
import type { VerifiedHead } from './head.ts';

/** How far two honest clocks may differ, seconds: as for tokens. */
const TOLERANCE = 60;

/** By what a head is judged. */
export interface HeadTrust {
  readonly manifest: TrustedManifest;
  /** The party whose broker gives this accepter the time. */
  readonly ownParty: string;
  /** The accepter's clock, which never runs behind its newest head: see `HeadKeeper.now`. */
  readonly at: Date;
  /** Seconds; the manifest's unless told. */
  readonly lease?: number;
  /** The manifest before: the broker may not have heard yet of the one that follows it. */
  readonly bridge?: ManifestBridge | undefined;
}

/**
 * Whether a head still gives time (design 2.1, rule 8): of the own party, of the manifest that the
 * accepter follows, not older than the lease. Code `manifest_superseded`: there is a newer manifest,
 * fetch it; `manifest_mismatch`: another one; `head_too_old`: the host withholds newer heads, or the
 * broker is gone for longer than the lease; `clock_behind_head`: the accepter's clock was set back.
 */
export function checkHead(head: VerifiedHead, trust: HeadTrust): Verification<VerifiedHead> {
  const { manifest, ownParty, at, bridge, lease = manifest.manifest.lease } = trust;
  const now = at.getTime() / 1000;
  const list = new CheckList();
  list.expect('head of the own party', head.party === ownParty, 'head_party');
  const deployment = head.deployment === manifest.manifest.deployment;
  list.expect('head of this deployment', deployment, 'head_deployment');
  const inForce = head.serial <= manifest.manifest.serial;
  list.expect('no newer manifest in force', inForce, 'manifest_superseded');
  const isBridged =
    bridge !== undefined && head.manifest === bridge.manifestId && at < bridge.until;
  const isThis = head.manifest === manifest.id || isBridged;
  list.expect('this manifest in force', isThis, 'manifest_mismatch');
  list.expect('head not older than the lease', now - head.time <= lease, 'head_too_old');
  list.expect('clock not behind the head', head.time - now <= TOLERANCE, 'clock_behind_head');
  return list.result(head);
}

/**
 * Whether evidence is recent by its heads (design 2.1, rule 8): its runtime data name a head of the
 * accepter's own party that is at most the lease older than the newest one the accepter knows. Code
 * `head_unknown`: none of the named ones is known here. They may be newer: fetch, and ask again.
 */
export function checkHeads(
  hashes: readonly string[],
  options: {
    /** The verified heads that the accepter keeps: its own party's count. */
    readonly known: readonly VerifiedHead[];
    readonly ownParty: string;
    /** Seconds. */
    readonly lease: number;
  },
): Verification<VerifiedHead> {
  const { ownParty, lease } = options;
  const list = new CheckList();
  const own = options.known
    .filter(({ party }) => party === ownParty)
    .toSorted((a, b) => b.time - a.time);
  const [newest] = own;
  list.expect('own party has a head', newest !== undefined, 'own_head_missing');
  list.expect('evidence names heads', hashes.length > 0, 'heads_missing');
  const named = own.find(({ hash }) => hashes.includes(hash));
  list.expect('names a head of the own party', named !== undefined, 'head_unknown');
  if (named === undefined || newest === undefined) return list.refusal();
  const recent = newest.time - named.time <= lease;
  list.expect('not older than the lease', recent, 'head_too_old');
  return list.result(named);
}
