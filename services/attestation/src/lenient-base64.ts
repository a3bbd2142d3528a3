import { decodeBase64url, MalformedError, type Bytes } from '@cloister/bytes';
import { AzureError } from './azure-error.ts';

/**
 * Bytes of base64 as Azure Attestation's clients write it (spec/azure-attestation.md 1.3): either
 * alphabet, padded or not. Any other character is refused in the real service's words.
 */
export function decodeLenientBase64(text: string, member: string): Bytes {
  const body = text.replace(/={1,2}$/, '');
  const stranger = /[^A-Za-z0-9+/_-]/u.exec(body)?.[0];
  if (stranger !== undefined) {
    const point = stranger.codePointAt(0) ?? 0;
    throw new AzureError(
      'InvalidOperation',
      `Unknown base64 character: ${point} ('${stranger}')`,
      'bad_base64',
    );
  }
  try {
    return decodeBase64url(body.replaceAll('+', '-').replaceAll('/', '_'), member);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new AzureError('InvalidOperation', `${member}: not base64`, 'bad_base64');
  }
}
