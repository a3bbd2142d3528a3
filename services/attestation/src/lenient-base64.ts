import { asBytes, type Bytes } from '@cloister/bytes';
import { AzureError } from './azure-error.ts';

/**
 * Bytes of base64 as Azure Attestation's clients write it (spec/azure-attestation.md 1.3): either
 * alphabet, padded or not. Any other character is refused in the real service's words.
 */
export function decodeLenientBase64(text: string, member: string): Bytes {
  const body = text.endsWith('=') ? text.replace(/={1,2}$/, '') : text;
  // It takes both alphabets, and passes over what is in neither: then the length does not fit.
  const bytes = asBytes(Buffer.from(body, 'base64'));
  const rest = body.length % 4;
  if (bytes.length === Math.floor((body.length * 3) / 4) && rest !== 1 && endsWell(body, rest))
    return bytes;
  const stranger = /[^A-Za-z0-9+/_-]/u.exec(body)?.[0];
  if (stranger === undefined)
    throw new AzureError('InvalidOperation', `${member}: not base64`, 'bad_base64');
  const point = stranger.codePointAt(0) ?? 0;
  throw new AzureError(
    'InvalidOperation',
    `Unknown base64 character: ${point} ('${stranger}')`,
    'bad_base64',
  );
}

/** Whether the bits of the last character that stand for nothing are zero (RFC 4648, 3.5). */
function endsWell(body: string, rest: number): boolean {
  if (rest === 0) return true;
  return (rest === 2 ? /[AQgw]$/ : /[AEIMQUYcgkosw048]$/).test(body);
}
