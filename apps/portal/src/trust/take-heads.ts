import type { Check, HeadJudge, Verification, VerifiedHead } from '@cloister/attestation';
import type { Fetch } from '@cloister/channel';
import {
  createHeadFeed,
  createHeadJudge,
  fetchManifestHistory,
  type HeadFeed,
  type ManifestFollower,
} from '@cloister/client';
import { followAgreement, type AgreementOptions } from './agreement.ts';
import { OWN_PARTY } from './pins.ts';

/** The newest head of the hospital's own broker, as the page shows it. */
export interface HeadFacts {
  /** Seconds since 1970. */
  readonly time: number;
  readonly serial: number;
}

/** What the hospital's broker says, and what is judged by it. */
export interface Heads {
  readonly checks: readonly Check[];
  /** The code by which the heads fail. */
  readonly failed?: string;
  readonly judgeHeads?: HeadJudge;
  /** The time: never behind the newest head. */
  readonly now: () => Date;
  readonly newest?: HeadFacts;
}

/** How the broker is asked. */
export interface HeadMeans extends AgreementOptions {
  readonly transport: Fetch;
  /** Base URL of the hospital's own broker. */
  readonly broker: string | undefined;
}

/** Codes that say: there may be a newer manifest, perhaps one that names another key of the broker. */
const NEWER: ReadonlySet<string> = new Set([
  'manifest_superseded',
  'manifest_mismatch',
  'sender_foreign',
]);

/** The heads of one visit: what was seen once is remembered, so that nothing goes back. */
export class HeadWatch {
  readonly #follower: ManifestFollower;
  readonly #means: HeadMeans;
  readonly #feed: HeadFeed;

  constructor(follower: ManifestFollower, means: HeadMeans) {
    this.#follower = follower;
    this.#means = means;
    const { broker, now, transport } = means;
    this.#feed = createHeadFeed({
      manifest: follower.trust,
      ownParty: OWN_PARTY,
      now,
      transport,
      brokers: broker === undefined ? {} : { [OWN_PARTY]: broker },
    });
    follower.onChange(({ trust, bridge }) => this.#feed.keeper.follow(trust, bridge));
  }

  /** The newest head that was seen. */
  get newest(): HeadFacts | undefined {
    return this.#feed.keeper.newest();
  }

  /**
   * Asks the hospital's own broker for its heads (design 2.1, rule 8): signed by the key that the
   * verified manifest names, they say that this manifest is in force, and what time it is. Where they
   * name another manifest, that is fetched and, if it follows, taken. A manifest without a broker has
   * no heads, and the report says so.
   */
  async take(): Promise<Heads> {
    const { now } = this.#means;
    if (!namesBroker(this.#follower)) return { checks: [], now };
    let verdict = await this.#feed.refresh();
    if (!verdict.ok && NEWER.has(verdict.code) && (await this.followManifest()))
      verdict = await this.#feed.refresh();
    const { newest } = this;
    return {
      checks: verdict.checks.map((check) => ({
        ...check,
        check: `code: hospital's key broker, ${check.check}`,
      })),
      ...failureOf(verdict),
      judgeHeads: createHeadJudge(this.#feed),
      now: () => this.#feed.keeper.now(),
      ...(newest === undefined ? {} : { newest }),
    };
  }

  /** Fetches the manifests that follow from the broker; whether another one is in force now. */
  async followManifest(): Promise<boolean> {
    const { broker, transport } = this.#means;
    if (broker === undefined) return false;
    let texts: readonly string[];
    try {
      texts = await fetchManifestHistory({ baseUrl: broker, transport });
    } catch (error) {
      // Nobody could be asked: what is known decides.
      if (error instanceof Error && 'code' in error) return false;
      throw error;
    }
    return followAgreement(this.#follower, texts, this.#means);
  }
}

/** Whether the hospital has a broker that signs heads. */
export function namesBroker({ trust }: ManifestFollower): boolean {
  return trust.manifest.parties[OWN_PARTY]?.broker !== undefined;
}

/** The host of the vault in which the hospital keeps its keys in the place of a broker. */
export function vaultHost({ trust }: ManifestFollower): string | undefined {
  const vault = trust.manifest.parties[OWN_PARTY]?.vault;
  return vault === undefined ? undefined : new URL(vault.url).host;
}

function failureOf(verdict: Verification<VerifiedHead>): { failed?: string } {
  return verdict.ok ? {} : { failed: verdict.code };
}
