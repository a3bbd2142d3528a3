import {
  brokerKeyOf,
  type HeadJudge,
  type TrustedManifest,
  type Verification,
  type VerifiedHead,
} from '@cloister/attestation';
import { MalformedError, parseJsonObject } from '@cloister/bytes';
import {
  createHeadFeed,
  createHeadJudge,
  followBroker,
  ManifestFollower,
  type Offer,
} from '@cloister/client';
import { errorCode, type Fetch } from '@cloister/service';
import { CommandError } from '../command-error.ts';

/** The party for whom one verifies, unless told. */
export const PATIENTS_PARTY = 'hospital';

/** What the broker of one's own party said, when it was asked. */
export interface BrokerWord {
  /** Its newest head; absent where there is none that counts. */
  readonly head?: VerifiedHead;
  /** Another manifest is in force since: it was verified by the one before. */
  readonly next?: TrustedManifest;
  /** Why a manifest that the broker offers does not count. */
  readonly refused?: string;
  /** Why the broker could not be asked. */
  readonly fault?: string;
}

/** The brokers by whose heads one judges (design 2.1, rule 8). */
export interface Brokers {
  readonly party: string;
  /** The manifest in force, as far as the broker has shown it. */
  readonly trust: () => TrustedManifest;
  readonly judgeHeads: HeadJudge;
  /** Whether the newest head gives time, and names the manifest that is followed. */
  readonly check: () => Verification<VerifiedHead>;
  /** Never behind the newest head. */
  readonly now: () => Date;
  /** Asks for what is new: heads, and the manifest that follows. */
  readonly ask: () => Promise<BrokerWord>;
}

/**
 * Begins to ask the brokers at these addresses. Nothing of what they say is believed without the
 * signatures that the manifest names: of the broker for heads, of the parties for its successor.
 */
export function openBrokers(options: {
  readonly manifest: TrustedManifest;
  readonly party: string;
  readonly addresses: Readonly<Record<string, string>>;
  readonly transport: Fetch;
  readonly now: () => Date;
}): Brokers {
  const { manifest, party, addresses, transport } = options;
  const baseUrl = addresses[party];
  if (baseUrl === undefined)
    throw new CommandError(
      `--broker ${party}=<url>: the heads of this party's broker give the time`,
    );
  if (brokerKeyOf(manifest, party) === undefined)
    throw new CommandError(`the manifest names no broker of ${party}`);
  const follower = new ManifestFollower({ first: manifest, ownParty: party, now: options.now });
  const feed = createHeadFeed({
    manifest,
    ownParty: party,
    now: options.now,
    transport,
    brokers: addresses,
  });
  follower.onChange(({ trust, bridge }) => feed.keeper.follow(trust, bridge));
  return {
    party,
    trust: () => follower.trust,
    judgeHeads: createHeadJudge(feed),
    check: () => feed.keeper.check(),
    now: () => feed.keeper.now(),
    async ask() {
      let offer: Offer | undefined;
      let fault: string | undefined;
      try {
        offer = await followBroker(follower, { baseUrl, transport });
      } catch (error) {
        if (!(error instanceof Error && 'code' in error)) throw error;
        fault = errorCode(error);
      }
      await feed.refresh();
      const head = feed.keeper.newest();
      return {
        ...(head === undefined ? {} : { head }),
        ...(offer?.changed === true ? { next: follower.trust } : {}),
        ...(offer?.refused === undefined ? {} : { refused: offer.refused }),
        ...(fault === undefined ? {} : { fault }),
      };
    },
  };
}

/** Reads `party=url` as often as it was given. */
export function parseBrokers(given: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    given.map((text) => {
      const [, party, url] = /^([a-z][a-z0-9-]{0,62})=(https?:\/\/\S+)$/.exec(text) ?? [];
      if (party === undefined || url === undefined)
        throw new CommandError('--broker: <party>=<url>, such as hospital=https://…');
      return [party, url];
    }),
  );
}

/**
 * The broker of a deployment on this machine: its portal says where it is, as long as it runs. An
 * address decides nothing.
 */
export async function localBrokers(
  { manifest }: TrustedManifest,
  transport: Fetch,
): Promise<Readonly<Record<string, string>>> {
  if (manifest.portal === undefined) return {};
  try {
    const answer = await transport(new Request(`${manifest.portal.origin}/cloister.json`));
    const { broker } = parseJsonObject(await answer.text(), 'portal settings');
    return typeof broker === 'string' ? parseBrokers([`${PATIENTS_PARTY}=${broker}`]) : {};
  } catch (error) {
    // Nobody is there, or something else.
    if (error instanceof MalformedError || (error instanceof Error && 'code' in error)) return {};
    throw error;
  }
}
