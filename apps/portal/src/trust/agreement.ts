import {
  manifestId,
  parseManifestFile,
  verifyManifest,
  type Check,
  type ManifestFile,
} from '@cloister/attestation';
import { MalformedError } from '@cloister/bytes';
import { ManifestFollower } from '@cloister/client';
import { OWN_PARTY, type Pins } from './pins.ts';

/** Where signed manifests are kept from one visit to the next: they are public, and nothing else is. */
export interface KeptManifests {
  /** Manifest files as JSON text; nothing of it is verified. */
  readonly read: () => readonly string[];
  readonly keep: (texts: readonly string[]) => void;
}

/** The manifest that binds this portal, and by what it follows the next ones. */
export type OpenedAgreement =
  | {
      readonly ok: true;
      readonly follower: ManifestFollower;
      readonly checks: readonly Check[];
    }
  | { readonly ok: false; readonly code: string; readonly checks: readonly Check[] };

/** What an agreement is opened with. */
export interface AgreementOptions {
  readonly pins: Pins;
  readonly kept: KeptManifests;
  readonly now: () => Date;
}

/**
 * Finds the newest manifest that binds this portal (design 2.1, rules 1 and 2): of the one beside the
 * page and those kept from earlier visits, the newest that the keys of this build vouch for, and from
 * there on what follows by the keys of each predecessor. An older one never replaces a newer one.
 */
export async function openAgreement(
  shown: string,
  { pins, kept, now }: AgreementOptions,
): Promise<OpenedAgreement> {
  const verify = ({ manifest, signatures }: ManifestFile) =>
    verifyManifest(manifest, signatures, {
      pinned: pins.parties,
      ownParty: OWN_PARTY,
      lowestSerial: pins.lowestSerial,
    });
  const texts = kept.read();
  let best = await verify(parseManifestFile(shown));
  for (const { file } of readFiles(texts)) {
    const verdict = await verify(file);
    if (verdict.ok && (!best.ok || verdict.claims.manifest.serial > best.claims.manifest.serial))
      best = verdict;
  }
  const checks = best.checks.map((check) => ({
    ...check,
    check: `code: manifest, ${check.check}`,
  }));
  if (!best.ok) return { ok: false, code: best.code, checks };
  const climbing = new ManifestFollower({ first: best.claims, ownParty: OWN_PARTY, now });
  const { changed } = await climbing.offer([...texts, shown]);
  if (changed)
    checks.push({
      check: 'code: manifest, follows one that the keys of this build vouch for',
      outcome: 'passed',
      detail: `serial ${climbing.trust.manifest.serial}`,
    });
  // What changed before this visit is long in force: nobody who still runs by an older one is bridged.
  const follower = new ManifestFollower({ first: climbing.trust, ownParty: OWN_PARTY, now });
  return { ok: true, follower, checks };
}

/**
 * Offers manifest files, and keeps the way to the newest one for the next visit. What another tab has
 * kept is offered too, so that nothing newer is overwritten. Says whether another one is in force now.
 */
export async function followAgreement(
  follower: ManifestFollower,
  offered: readonly string[],
  { pins, kept }: AgreementOptions,
): Promise<boolean> {
  const texts = [...kept.read(), ...offered];
  const { changed } = await follower.offer(texts);
  const way = await wayTo(follower.trust.id, texts, pins);
  if (way.length > 0) kept.keep(way);
  return changed;
}

/** The files that lead from one that the pins vouch for to the manifest of this id. */
async function wayTo(id: string, texts: readonly string[], pins: Pins): Promise<string[]> {
  const byId = new Map<string, { readonly text: string; readonly file: ManifestFile }>();
  for (const one of readFiles(texts)) byId.set(await manifestId(one.file.manifest), one);
  const way: string[] = [];
  for (let at = byId.get(id); at !== undefined; at = byId.get(at.file.manifest.previous ?? '')) {
    way.unshift(at.text);
    const { manifest, signatures } = at.file;
    const trust = { pinned: pins.parties, ownParty: OWN_PARTY, lowestSerial: pins.lowestSerial };
    if ((await verifyManifest(manifest, signatures, trust)).ok) return way;
  }
  // It does not lead back to the pins: the next visit could not use it.
  return [];
}

function readFiles(
  texts: readonly string[],
): { readonly text: string; readonly file: ManifestFile }[] {
  return texts.flatMap((text) => {
    try {
      return [{ text, file: parseManifestFile(text) }];
    } catch (error) {
      // What the browser kept, or a broker says, may be anything: what is no manifest does not count.
      if (error instanceof MalformedError) return [];
      throw error;
    }
  });
}
