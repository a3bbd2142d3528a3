import { encodeUtf8 } from '@cloister/bytes';
import { verifyJws, type Jwk } from '@cloister/crypto';
import { CheckList } from '../check-list.ts';
import type { Verification } from '../verification.ts';
import { manifestId, type Manifest } from './manifest.ts';
import { MANIFEST_TYP } from './sign-manifest.ts';
import { markTrusted, type TrustedManifest } from './trusted-manifest.ts';

/** The keys of each party. */
export type PartyKeys = Readonly<Record<string, readonly Jwk[]>>;

/** By what a relying party judges a manifest. */
export interface ManifestTrust {
  /**
   * Keys that it was given out of band; they count where there is no predecessor. Undefined: the
   * manifest's own keys judge it, which binds nobody. That is for services, whose peers look at
   * the id in their runtime data (rule 1); never for a relying party that was given keys.
   */
  readonly pinned: PartyKeys | undefined;
  /** Its own party: without that party's signature nothing binds it (design 2.1, rule 2). */
  readonly ownParty?: string | undefined;
  /** The lowest serial that it takes. */
  readonly lowestSerial?: number | undefined;
  /** The manifest that it followed until now. */
  readonly predecessor?: TrustedManifest | undefined;
}

/**
 * Checks that a manifest binds this relying party: the quorum of the manifest itself by its own
 * keys; the quorum, and the own party, by the keys of the predecessor (or those given out of
 * band); serial and predecessor. Without `ownParty` all whose keys were pinned must have signed.
 */
export async function verifyManifest(
  manifest: Manifest,
  signatures: Readonly<Record<string, string>>,
  trust: ManifestTrust,
): Promise<Verification<TrustedManifest>> {
  const { predecessor, ownParty, lowestSerial = 1 } = trust;
  const id = await manifestId(manifest);
  const list = new CheckList();
  list.expect('serial not below the lowest', manifest.serial >= lowestSerial, 'serial_too_low');
  if (predecessor === undefined) list.skip('follows its predecessor', 'no predecessor at hand');
  else {
    list.expect(
      'follows its predecessor',
      manifest.deployment === predecessor.manifest.deployment &&
        manifest.serial === predecessor.manifest.serial + 1 &&
        manifest.previous === predecessor.id,
      'predecessor_mismatch',
    );
  }
  const ownKeys = keysOf(manifest);
  const given = predecessor === undefined ? trust.pinned : keysOf(predecessor.manifest);
  const trustedKeys = given ?? ownKeys;
  if (given === undefined) list.skip('keys given out of band', 'judged by its own keys');
  else list.expect('keys given out of band', Object.keys(given).length > 0, 'no_trusted_keys');
  const byOwnKeys = new Map<string, Jwk>();
  const byTrustedKeys = new Map<string, Jwk>();
  for (const [party, jws] of sortedEntries(signatures)) {
    const own = await signerOf(id, party, jws, ownKeys[party]);
    const trusted = await signerOf(id, party, jws, trustedKeys[party]);
    if (own !== undefined) byOwnKeys.set(party, own);
    if (trusted !== undefined) byTrustedKeys.set(party, trusted);
    const known = own !== undefined || trusted !== undefined;
    list.expect(`signature of ${party}`, known, 'signature_invalid');
  }
  const { update } = manifest.quorum;
  list.expect('quorum of the manifest', isQuorum(update, byOwnKeys), 'quorum_missing');
  // Serial 1, and a build that pins keys, have no older quorum: the manifest's own must hold.
  const before = predecessor?.manifest.quorum.update ?? update;
  list.expect('quorum of those before', isQuorum(before, byTrustedKeys), 'old_quorum_missing');
  const bound = ownParty === undefined ? Object.keys(trust.pinned ?? {}) : [ownParty];
  list.expect(
    'own party',
    (predecessor !== undefined && ownParty === undefined) ||
      bound.every((party) => byTrustedKeys.has(party)),
    'own_party_missing',
  );
  return list.result(
    markTrusted(manifest, id, {
      signers: [...byTrustedKeys.keys()].toSorted(),
      anchored: given !== undefined,
    }),
  );
}

/** The keys of all parties of a manifest: what a relying party pins out of band. */
export function keysOf(manifest: Manifest): PartyKeys {
  return Object.fromEntries(
    Object.entries(manifest.parties).map(([name, party]) => [name, party.keys]),
  );
}

/** The key, of those given, that made this party's signature over the id. */
async function signerOf(
  id: string,
  party: string,
  jws: string,
  keys: readonly Jwk[] = [],
): Promise<Jwk | undefined> {
  for (const key of keys) {
    const result = await verifyJws(jws, {
      key,
      algs: ['ES256'],
      typ: MANIFEST_TYP,
      detachedPayload: encodeUtf8(id),
    });
    if (result.ok && result.header['party'] === party) return key;
  }
  return undefined;
}

/** Parties count once each, and so do keys: one key under two names is one signer. */
function isQuorum(
  { of, min }: { readonly of: readonly string[]; readonly min: number },
  signers: ReadonlyMap<string, Jwk>,
): boolean {
  const keys = new Set<unknown>();
  for (const party of new Set(of)) {
    const key = signers.get(party);
    if (key !== undefined) keys.add(key['x']);
  }
  return keys.size >= min;
}

function sortedEntries(record: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
