import { encodeHex, MalformedError } from '@cloister/bytes';
import { parseCertificateChain, sha256, type Certificate } from '@cloister/crypto';
import { CommandError } from '../command-error.ts';
import { readText } from './manifest-draft.ts';

/**
 * SHA-256 of the public keys of authorities, from files with their certificates (PEM): what a
 * manifest pins. A certificate that is no authority's is refused: it would never count.
 */
export async function readVaultRoots(files: readonly string[]): Promise<readonly string[]> {
  const certificates = files.flatMap(readAuthorities);
  const digests = await Promise.all(
    certificates.map(async ({ spki }) => encodeHex(await sha256(spki))),
  );
  return [...new Set(digests)];
}

function readAuthorities(file: string): readonly Certificate[] {
  let certificates: readonly Certificate[];
  try {
    certificates = parseCertificateChain(readText(file));
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new CommandError(`${file} holds no certificates (PEM)`, { cause: error });
  }
  if (certificates.some(({ basicConstraints }) => basicConstraints?.ca !== true))
    throw new CommandError(`${file}: not the certificate of an authority`);
  return certificates;
}
