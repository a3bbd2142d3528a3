import type { JsonObject } from '@cloister/bytes';
import type { PolicyClaims } from '../policy/policy-engine.ts';

/** How long a token for an enclave is good (spec/azure-attestation.md 3.2). */
const TOKEN_SECONDS = 28_800;

/** What goes into a token. */
export interface TokenParts {
  readonly issuer: string;
  readonly at: Date;
  /** 64 lower-hex digits, random. */
  readonly id: string;
  readonly policyHash: string;
  /** What the service says: what policies saw, and the rest. */
  readonly service: JsonObject;
  /** What the policy issued. */
  readonly issued: PolicyClaims;
}

/**
 * The payload of an attestation token (spec/azure-attestation.md 3.2). Issued claims stand in
 * `x-ms-policy` and at the top, where a claim of the service's wins over one of the same name.
 */
export function tokenPayload(parts: TokenParts): JsonObject {
  const { issuer, at, id, policyHash, service, issued } = parts;
  const iat = Math.floor(at.getTime() / 1000);
  return {
    ...issued,
    ...(Object.keys(issued).length === 0 ? {} : { 'x-ms-policy': { ...issued } }),
    ...service,
    'x-ms-policy-hash': policyHash,
    iss: issuer,
    iat,
    nbf: iat,
    exp: iat + TOKEN_SECONDS,
    jti: id,
  };
}
