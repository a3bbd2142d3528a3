import { MalformedError } from '@cloister/bytes';
import { jwkThumbprint, type Jwk } from '@cloister/crypto';
import type { Issuer, Manifest } from '../manifest/manifest.ts';

/** An issuer of the manifest, with those of its pinned keys that are at hand. */
export interface PinnedIssuer {
  readonly iss: string;
  readonly agreement: Issuer;
  readonly keys: readonly Jwk[];
}

/**
 * The issuers that the manifest names, each with the keys whose thumbprints it lists: where the
 * keys were fetched decides nothing (design 2.1, rule 5).
 */
export async function pinnedIssuers(
  manifest: Manifest,
  keys: readonly Jwk[],
): Promise<readonly PinnedIssuer[]> {
  const named = await Promise.all(
    keys.map(async (key) => ({ key, thumbprint: await thumbprintOf(key) })),
  );
  return manifest.issuers.map((agreement) => ({
    iss: agreement.iss,
    agreement,
    keys: named
      .filter(({ thumbprint }) => thumbprint !== undefined && agreement.keys.includes(thumbprint))
      .map(({ key }) => key),
  }));
}

/** A key that has no thumbprint cannot be pinned. */
async function thumbprintOf(key: Jwk): Promise<string | undefined> {
  try {
    return await jwkThumbprint(key);
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
