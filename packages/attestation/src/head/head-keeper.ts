import { CheckList } from '../check-list.ts';
import type { ManifestBridge, TrustedManifest } from '../manifest/trusted-manifest.ts';
import type { Verification } from '../verification.ts';
import { checkHead, checkHeads } from './check-head.ts';
import { verifyHead, type VerifiedHead } from './head.ts';
import { createSteadyClock } from './steady-clock.ts';

/** Whose heads are kept, and by what. */
export interface HeadKeeperOptions {
  readonly manifest: TrustedManifest;
  readonly ownParty: string;
  /** The host's clock, which may lie. */
  readonly now: () => Date;
  /**
   * A clock that only runs on, milliseconds from anywhere: with it, time passes though the host sets
   * its clock back and withholds newer heads.
   */
  readonly monotonic?: (() => number) | undefined;
}

/** Heads of one party are kept so long beyond the lease: evidence may have been made on any. */
const MOST_KEPT = 64;
/** An old head is to be told from an unknown one. */
const KEPT_LEASES = 4;

/**
 * The heads that a relying party knows (design 2.1, rule 8): it takes none that contradicts an
 * earlier one, and its clock never runs behind the newest.
 */
export class HeadKeeper {
  #manifest: TrustedManifest;
  #bridge: ManifestBridge | undefined;
  readonly #ownParty: string;
  readonly #now: () => number;
  readonly #heads = new Map<string, readonly VerifiedHead[]>();

  constructor({ manifest, ownParty, now, monotonic }: HeadKeeperOptions) {
    this.#manifest = manifest;
    this.#ownParty = ownParty;
    const wall = (): number => now().getTime();
    const newestHead = (): number => (this.newest()?.time ?? 0) * 1000;
    this.#now =
      monotonic === undefined
        ? () => Math.max(wall(), newestHead())
        : createSteadyClock({ wall, monotonic, newestHead });
  }

  /** Takes a head of a party in; `head_contradicts`: the broker was rolled back, or there are two. */
  async add(jws: string, party: string = this.#ownParty): Promise<Verification<VerifiedHead>> {
    const result = await verifyHead(jws, { manifest: this.#manifest, party });
    if (!result.ok) return result;
    const head = result.claims;
    const kept = this.#heads.get(party) ?? [];
    const list = new CheckList();
    list.include(result.checks);
    const fits = kept.every((other) => agree(other, head));
    if (!list.expect('contradicts no earlier head', fits, 'head_contradicts'))
      return list.refusal();
    if (!kept.some(({ hash }) => hash === head.hash)) {
      const oldest =
        (this.newest(party)?.time ?? head.time) - KEPT_LEASES * this.#manifest.manifest.lease;
      const next = [...kept, head]
        .filter(({ time }) => time >= oldest)
        .toSorted((a, b) => b.time - a.time)
        .slice(0, MOST_KEPT);
      this.#heads.set(party, next);
      // The clock runs on from this head at once.
      this.#now();
    }
    return list.result(head);
  }

  /** The newest head of a party, the own one unless told. */
  newest(party: string = this.#ownParty): VerifiedHead | undefined {
    return this.#heads.get(party)?.[0];
  }

  /** The time: the host's clock, but never before the newest head of the own party. */
  now(): Date {
    return new Date(this.#now());
  }

  /** What the runtime data of this service name: the newest head of each party, by its hash. */
  hashes(): readonly string[] {
    return [...this.#heads.values()].flatMap(([newest]) => newest?.hash ?? []).toSorted();
  }

  /** Whether the own party's newest head still gives time; where it does not, nothing is accepted. */
  check(): Verification<VerifiedHead> {
    const head = this.newest();
    const list = new CheckList();
    if (!list.expect('own party has a head', head !== undefined, 'own_head_missing') || !head)
      return list.refusal();
    return checkHead(head, {
      manifest: this.#manifest,
      ownParty: this.#ownParty,
      at: this.now(),
      bridge: this.#bridge,
    });
  }

  /** Whether evidence that names these heads is recent: see `checkHeads`. */
  judge(hashes: readonly string[]): Verification<VerifiedHead> {
    const known = this.#heads.get(this.#ownParty) ?? [];
    const { lease } = this.#manifest.manifest;
    return checkHeads(hashes, { known, ownParty: this.#ownParty, lease });
  }

  /** Goes on with the manifest that follows; the heads stay, those of the one before are bridged. */
  follow(manifest: TrustedManifest, bridge?: ManifestBridge): void {
    this.#manifest = manifest;
    this.#bridge = bridge;
  }
}

/** Whether two heads of one broker can both be true: time, log and manifest only grow. */
function agree(a: VerifiedHead, b: VerifiedHead): boolean {
  if (a.logSize === b.logSize && a.logRoot !== b.logRoot) return false;
  if (a.serial === b.serial && a.manifest !== b.manifest) return false;
  if (a.time === b.time) return true;
  const [older, newer] = a.time < b.time ? [a, b] : [b, a];
  return older.logSize <= newer.logSize && older.serial <= newer.serial;
}
