import {
  manifestId,
  parseManifestFile,
  verifyManifest,
  type ManifestBridge,
  type ManifestFile,
  type TrustedManifest,
} from '@cloister/attestation';
import { MalformedError } from '@cloister/bytes';
import { fetchManifestHistory, fetchManifestText, type HeadSource } from './broker-heads.ts';

/** The manifest in force for a relying party, and the one before it while that is bridged. */
export interface Agreement {
  readonly trust: TrustedManifest;
  readonly bridge?: ManifestBridge | undefined;
}

/** What came of manifest files that were offered. */
export interface Offer {
  /** Whether another manifest is in force now. */
  readonly changed: boolean;
  /** Why the newest one that did not count does not: the code of `verifyManifest`, or `malformed`. */
  readonly refused?: string;
}

/** By what a relying party begins to follow. */
export interface ManifestFollowerOptions {
  /** The manifest that it follows until now: its keys judge the next one. */
  readonly first: TrustedManifest;
  /** The party without whose signature nothing binds it (design 2.1, rule 2). */
  readonly ownParty?: string | undefined;
  readonly now: () => Date;
}

/** Told, and waited for, when another manifest is in force. */
export type AgreementListener = (agreement: Agreement) => Promise<void> | void;

/**
 * Follows the trust manifest (design 2.1, rules 1 and 2): a successor that is signed by the quorum
 * and the own party with the keys of its predecessor takes effect at once; anything else is refused,
 * and what was in force stays. Where files come from does not matter: they are signed.
 */
export class ManifestFollower {
  readonly #options: ManifestFollowerOptions;
  readonly #listeners: AgreementListener[] = [];
  #agreement: Agreement;
  #now: () => Date;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ManifestFollowerOptions) {
    this.#options = options;
    this.#agreement = { trust: options.first };
    this.#now = options.now;
  }

  /** What is in force now. */
  get agreement(): Agreement {
    return this.#agreement;
  }

  get trust(): TrustedManifest {
    return this.#agreement.trust;
  }

  /** Ids of the manifests by which what a peer says may be: the one in force, the one bridged. */
  get ids(): readonly string[] {
    const { trust, bridge } = this.#agreement;
    const isBridged = bridge !== undefined && this.#now() < bridge.until;
    return isBridged ? [trust.id, bridge.manifestId] : [trust.id];
  }

  /** Has somebody told of every change from now on, in the order of these calls. */
  onChange(listener: AgreementListener): void {
    this.#listeners.push(listener);
  }

  /**
   * Goes by another clock from now on: that of the heads, when there are some. By the host's, a host
   * could draw out how long the manifest before is bridged.
   */
  goBy(now: () => Date): void {
    this.#now = now;
  }

  /** Takes manifest files in, in any order; those that came before count no more. */
  offer(texts: readonly string[]): Promise<Offer> {
    const mine = this.#last.then(() => this.#take(texts));
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  async #take(texts: readonly string[]): Promise<Offer> {
    const { files, malformed } = readFiles(texts);
    const { trust: before } = this.#agreement;
    let trust = before;
    let refused = malformed ? 'malformed' : undefined;
    for (const { manifest, signatures } of files) {
      if (manifest.serial < trust.manifest.serial) continue;
      const verdict = await verifyManifest(manifest, signatures, {
        pinned: undefined,
        predecessor: trust,
        ownParty: this.#options.ownParty,
      });
      if (verdict.ok) {
        trust = verdict.claims;
        refused = undefined;
      } else if ((await manifestId(manifest)) !== trust.id) refused = verdict.code;
    }
    const changed = trust.id !== before.id;
    if (changed) {
      const until = new Date(this.#now().getTime() + before.manifest.lease * 1000);
      this.#agreement = { trust, bridge: { manifestId: before.id, until } };
      // oxlint-disable-next-line no-await-in-loop -- the heads follow before the leases are renewed
      for (const listener of this.#listeners) await listener(this.#agreement);
    }
    return { changed, ...(refused === undefined ? {} : { refused }) };
  }
}

/**
 * Asks a broker for the manifests that follow the one in force, and offers them. Where it cannot be
 * reached, ClientError or what the transport throws.
 */
export async function followBroker(follower: ManifestFollower, source: HeadSource): Promise<Offer> {
  const newest = await fetchManifestText(source);
  const { files } = readFiles([newest]);
  const ahead = (files[0]?.manifest.serial ?? 0) - follower.trust.manifest.serial;
  if (ahead <= 1) return follower.offer([newest]);
  return follower.offer(await fetchManifestHistory(source));
}

function readFiles(texts: readonly string[]): {
  readonly files: readonly ManifestFile[];
  readonly malformed: boolean;
} {
  let malformed = false;
  const files = texts.flatMap((text) => {
    try {
      return [parseManifestFile(text)];
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      malformed = true;
      return [];
    }
  });
  return { files: files.toSorted((a, b) => a.manifest.serial - b.manifest.serial), malformed };
}
