import { encodeUtf8, type Bytes } from '@cloister/bytes';
import { jwkThumbprint, sha256 } from '@cloister/crypto';
import type { Party } from './manifest.ts';

/**
 * All keys of a party in one value: SHA-256 over their thumbprints (RFC 7638), sorted, each on a line.
 * Code that shows it runs by a manifest that these keys have signed, whichever one it is: that is what
 * a vault's release policy can ask for, which knows nothing of manifests.
 */
export async function partyKeysDigest({ keys }: Pick<Party, 'keys'>): Promise<Bytes> {
  const thumbprints = await Promise.all(keys.map((key) => jwkThumbprint(key)));
  const lines = thumbprints.toSorted().map((thumbprint) => `${thumbprint}\n`);
  return sha256(encodeUtf8(lines.join('')));
}
