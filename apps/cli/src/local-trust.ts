import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Bytes } from '@cloister/bytes';
import { parseManifestFile, verifyManifest, type TrustedManifest } from '@cloister/attestation';
import { CommandError } from './command-error.ts';

/** Fresh random bytes of this machine. */
export function random(length: number): Bytes {
  return new Uint8Array(randomBytes(length));
}

/**
 * The manifest in a file, with the signatures of all its parties verified by the keys that it names.
 * Whoever calls vouches for the file itself: its id is printed, to be compared with what others have.
 */
export async function readTrust(file: string): Promise<TrustedManifest> {
  const { manifest, signatures } = parseManifestFile(readFileSync(file, 'utf8'));
  const result = await verifyManifest(manifest, signatures, { pinned: undefined });
  if (!result.ok) throw new CommandError(`the manifest in ${file} does not count: ${result.code}`);
  return result.claims;
}
