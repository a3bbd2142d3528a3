import { encodeBase64url, encodeUtf8 } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';

/**
 * `x-ms-policy-hash` of a policy's text: SHA-256 over its base64url, base64url
 * (spec/azure-attestation.md 2.1). Nothing is normalised: another line end is another policy.
 */
export async function policyHash(text: string): Promise<string> {
  return encodeBase64url(await sha256(encodeUtf8(encodeBase64url(encodeUtf8(text)))));
}

/** `x-ms-policy-token-hash`: SHA-256 over the compact JWS as it came (2.1), base64url. */
export async function policyTokenHash(jws: string): Promise<string> {
  return encodeBase64url(await sha256(encodeUtf8(jws)));
}
