import {
  manifestId,
  signManifest,
  verifyManifest,
  type Check,
  type ManifestFile,
  type PartyKeys,
  type TrustedManifest,
} from '@cloister/attestation';
import { measureService } from '@cloister/attester';
import { jwkThumbprint, type Jwk } from '@cloister/crypto';
import { CommandError } from '../command-error.ts';
import { ROOT } from '../local/places.ts';
import { readPublicKey } from './party-key-file.ts';

/** Adds a party's signature, by a key that is the party's: here, or in the manifest before. */
export async function signFile(
  file: ManifestFile,
  party: string,
  signer: { readonly key: CryptoKey; readonly thumbprint: string },
  before: ManifestFile | undefined,
): Promise<ManifestFile> {
  const keys = [
    ...(file.manifest.parties[party]?.keys ?? []),
    ...(before?.manifest.parties[party]?.keys ?? []),
  ];
  const thumbprints = await Promise.all(keys.map((key) => jwkThumbprint(key)));
  if (!thumbprints.includes(signer.thumbprint))
    throw new CommandError(
      `that key is not one of ${party}'s: its signature would count for nothing`,
    );
  const jws = await signManifest(await manifestId(file.manifest), party, signer.key);
  return { manifest: file.manifest, signatures: { ...file.signatures, [party]: jws } };
}

/** The signatures of both copies of one manifest: parties that signed apart. */
export async function mergeFiles(one: ManifestFile, other: ManifestFile): Promise<ManifestFile> {
  const [a, b] = await Promise.all([manifestId(one.manifest), manifestId(other.manifest)]);
  if (a !== b) throw new CommandError('those are two manifests, not two copies of one');
  return { manifest: one.manifest, signatures: { ...other.signatures, ...one.signatures } };
}

/** By what a manifest file is verified. */
export interface FileTrust {
  /** The chain before it, the oldest first: each is verified by the one before. */
  readonly predecessors: readonly ManifestFile[];
  readonly ownParty: string | undefined;
  /** Keys known from elsewhere, for the first of the chain. */
  readonly pinned: PartyKeys | undefined;
}

/** Verifies a manifest file, and the chain before it. */
export async function verifyFile(
  file: ManifestFile,
  { predecessors, ownParty, pinned }: FileTrust,
): Promise<{ readonly ok: boolean; readonly code?: string; readonly checks: readonly Check[] }> {
  let trusted: TrustedManifest | undefined;
  for (const one of [...predecessors, file]) {
    const first = trusted === undefined;
    const verdict = await verifyManifest(one.manifest, one.signatures, {
      pinned: first ? pinned : undefined,
      ...(ownParty === undefined ? {} : { ownParty }),
      predecessor: trusted,
    });
    if (!verdict.ok) return verdict;
    if (one === file) return verdict;
    trusted = verdict.claims;
  }
  throw new CommandError('nothing to verify');
}

/** The services whose agreed measurement is not that of this repository's sources. */
export async function foreignServices({ manifest }: ManifestFile): Promise<readonly string[]> {
  const foreign: string[] = [];
  for (const [service, { identity }] of Object.entries(manifest.services)) {
    const measured = await measureService({ root: ROOT, service });
    const agreed = identity.anyOf.some(
      (one) => one.tee === 'sgx' && one.mrenclave.includes(measured),
    );
    if (!agreed) foreign.push(service);
  }
  return foreign;
}

/** Keys that were given out of band: each as `<party>=<file>`. */
export function readPins(pins: readonly string[]): PartyKeys {
  const keys: Record<string, Jwk[]> = {};
  for (const pin of pins) {
    const [, party, file] = /^([a-z][a-z0-9-]{0,62})=(.+)$/s.exec(pin) ?? [];
    if (party === undefined || file === undefined)
      throw new CommandError(`${pin} is not <party>=<file of its public key>`);
    (keys[party] ??= []).push(readPublicKey(file));
  }
  return keys;
}
