import {
  HeadKeeper,
  type TrustedManifest,
  type Verification,
  type VerifiedHead,
} from '@cloister/attestation';
import type { Fetch } from '@cloister/channel';
import { ClientError } from './client-error.ts';
import { exchange, expectStatus, jsonOf } from './exchange.ts';
import { readAnswer, textOf, textsOf } from './fields.ts';

/** Where the heads of a party's broker are read. */
export interface HeadSource {
  readonly baseUrl: string;
  readonly transport: Fetch;
}

const LIMIT = 1 << 20;
const WAIT_SECONDS = 25;

/** The recent heads of a broker, newest first. Signed, so they need no channel; nothing is verified. */
export async function fetchHeads(source: HeadSource): Promise<readonly string[]> {
  const body = await get(source, '/v1/heads');
  return readAnswer('heads', () => textsOf(body, 'heads'));
}

/** The newest head of a broker; with `after`, the next one, or the same after half a minute. */
export async function fetchHead(source: HeadSource, after?: string): Promise<string> {
  const query = after === undefined ? '' : `?after=${after}&wait=${WAIT_SECONDS}`;
  const body = await get(source, `/v1/head${query}`);
  return readAnswer('head', () => textOf(body, 'head'));
}

/** The manifest file that is in force at a broker, as text: to be verified by its predecessor. */
export async function fetchManifestText(source: HeadSource): Promise<string> {
  const body = await get(source, '/v1/manifest');
  return JSON.stringify(body);
}

/** The files of all manifests that were ever in force at a broker, oldest first, as texts. */
export async function fetchManifestHistory(source: HeadSource): Promise<readonly string[]> {
  const body = await get(source, '/v1/manifest/history');
  const { manifests } = body;
  if (!Array.isArray(manifests)) throw new ClientError('malformed_answer', 'manifest history');
  return manifests.map((file) => JSON.stringify(file));
}

/** Keeps the heads of the own party's broker, and perhaps of another one. */
export interface HeadFeed {
  readonly keeper: HeadKeeper;
  /** Fetches what there is; the verdict is that of the own party's newest head. */
  refresh(): Promise<Verification<VerifiedHead>>;
  /**
   * Of each broker one that waits for its next head, at most half a minute, and takes it in: evidence
   * names the newest of all, for each accepter goes by its own party's. The verdict is that of the own
   * party's newest head; of another party's broker, of the head that came.
   */
  readonly next: readonly (() => Promise<Verification<unknown>>)[];
}

/**
 * Follows heads (design 2.1, rule 8). A broker that cannot be reached changes nothing at once: the
 * verdict stands on the newest head until the lease is over.
 */
export function createHeadFeed(options: {
  readonly manifest: TrustedManifest;
  readonly ownParty: string;
  readonly now: () => Date;
  /** See `HeadKeeper`. */
  readonly monotonic?: (() => number) | undefined;
  readonly transport: Fetch;
  /** The address of each party's broker; the own party's must be among them. */
  readonly brokers: Readonly<Record<string, string>>;
}): HeadFeed {
  const { ownParty, brokers, transport } = options;
  const keeper = new HeadKeeper(options);
  const take = async (party: string, heads: readonly string[]): Promise<Verification<unknown>> => {
    let last: Verification<unknown> = { ok: true, claims: undefined, checks: [] };
    for (const head of heads.toReversed()) {
      const result = await keeper.add(head, party);
      // What a broker signed before the manifest named its next key is of no use, and no lie.
      const isMended = result.ok && !last.ok && last.code === 'sender_foreign';
      if (!result.ok || isMended) last = result;
    }
    return last;
  };
  const verdict = (taken: Verification<unknown>): Verification<VerifiedHead> =>
    taken.ok ? keeper.check() : taken;
  return {
    keeper,
    async refresh() {
      let own: Verification<unknown> = { ok: true, claims: undefined, checks: [] };
      await Promise.all(
        Object.entries(brokers).map(async ([party, baseUrl]) => {
          const heads = await unlessUnavailable(() => fetchHeads({ baseUrl, transport }));
          const taken = await take(party, heads ?? []);
          if (party === ownParty) own = taken;
        }),
      );
      return verdict(own);
    },
    next: Object.entries(brokers).map(([party, baseUrl]) => async () => {
      const after = keeper.newest(party)?.hash;
      const head = await unlessUnavailable(() => fetchHead({ baseUrl, transport }, after));
      const taken = await take(party, head === undefined ? [] : [head]);
      return party === ownParty ? verdict(taken) : taken;
    }),
  };
}

/** What a call gives, or undefined where nobody could be asked. */
export async function unlessUnavailable<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    // Whatever failed on the way: what is known already decides, until the lease is over.
    if (error instanceof ClientError || (error instanceof Error && 'code' in error))
      return undefined;
    throw error;
  }
}

async function get({ baseUrl, transport }: HeadSource, path: string) {
  const request = new Request(`${baseUrl.replace(/\/+$/, '')}${path}`);
  const answer = await exchange(transport, request, { where: 'key broker', limit: LIMIT });
  expectStatus(answer, 'key broker', 200);
  return jsonOf(answer, 'key broker');
}
