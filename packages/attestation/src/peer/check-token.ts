import { MalformedError, type JsonObject } from '@cloister/bytes';
import type { CheckList } from '../check-list.ts';
import { claimsOfToken, type TokenEvidenceClaims } from '../token/claims-of-token.ts';
import { verifyToken } from '../token/verify-token.ts';
import type { PinnedIssuer } from './pinned-issuers.ts';

/** A token that a pinned issuer signed, of a kind and under a policy that the manifest names. */
export interface PinnedToken {
  readonly payload: JsonObject;
  readonly claims: TokenEvidenceClaims;
  readonly expires: Date;
}

/**
 * Verifies a token as far as it stands alone: signature, time, kind, policy, and that its claims
 * can be read. Undefined where a check failed; which one stands in the list.
 */
export async function checkToken(
  list: CheckList,
  token: string,
  issuers: readonly PinnedIssuer[],
  at: Date,
): Promise<PinnedToken | undefined> {
  const result = await verifyToken(token, { issuers, at });
  list.include(result.checks, 'hardware: ');
  if (!result.ok) return undefined;
  const { issuer, payload, expires } = result.claims;
  const agreement = issuers.find(({ iss }) => iss === issuer)?.agreement;
  const claims = readClaims(payload);
  list.expect('hardware: token claims', claims !== undefined, unreadCode(payload));
  if (claims === undefined || agreement === undefined) return undefined;
  const kind = agreement.tee.includes(claims.type);
  list.expect('hardware: token kind', kind, 'token_kind');
  const { policyHash } = agreement;
  if (policyHash === undefined) list.skip('hardware: token policy', 'the manifest names none');
  else list.expect('hardware: token policy', claims.policyHash === policyHash, 'token_policy');
  return list.code === undefined ? { payload, claims, expires } : undefined;
}

/**
 * Azure's tokens of a guest (`azurevm`) name the PCRs that were looked at, and none of their values:
 * they cannot show an identity that fixes every byte (design 2.1, rule 3).
 */
function unreadCode(payload: JsonObject): string {
  const guest = payload['x-ms-attestation-type'] === 'azurevm';
  return guest ? 'token_without_pcrs' : 'token_claims_malformed';
}

function readClaims(payload: JsonObject): TokenEvidenceClaims | undefined {
  try {
    return claimsOfToken(payload);
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
