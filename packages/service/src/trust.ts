import { parseManifestFile, verifyManifest, type TrustedManifest } from '@cloister/attestation';
import { ConfigError } from './config-error.ts';

/** Where the manifest is, and what is known of it beforehand. */
export interface TrustOptions {
  readonly manifestFile: string;
  readonly readFile: (path: string) => Promise<string>;
  /** The keys that this relying party was given out of band, and its own party. */
  readonly pinned?: Parameters<typeof verifyManifest>[2]['pinned'];
  readonly ownParty?: string;
  readonly lowestSerial?: number;
}

/**
 * The trust manifest from a file, with its signatures verified. A service whose host gave it
 * another manifest carries that one's id in its runtime data, and is refused by its peers
 * (design 2.1, rule 1). Throws ConfigError where the file is absent, malformed or unsigned.
 */
export async function loadTrust(options: TrustOptions): Promise<TrustedManifest> {
  const { manifestFile, readFile, ownParty, lowestSerial } = options;
  let text: string;
  try {
    text = await readFile(manifestFile);
  } catch (error) {
    throw new ConfigError('manifest: cannot be read', { cause: error });
  }
  const { manifest, signatures } = readManifest(text);
  const result = await verifyManifest(manifest, signatures, {
    pinned: options.pinned,
    ...(ownParty === undefined ? {} : { ownParty }),
    ...(lowestSerial === undefined ? {} : { lowestSerial }),
  });
  if (!result.ok) throw new ConfigError(`manifest: ${result.code}`);
  return result.claims;
}

function readManifest(text: string): ReturnType<typeof parseManifestFile> {
  try {
    return parseManifestFile(text);
  } catch (error) {
    throw new ConfigError(`manifest: ${error instanceof Error ? error.message : 'malformed'}`, {
      cause: error,
    });
  }
}
