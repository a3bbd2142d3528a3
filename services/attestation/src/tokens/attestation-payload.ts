import type { ClaimValue, IssuedClaims } from '@cloister/attestation';
import type { JsonObject } from '@cloister/bytes';

/** How long a token is good (spec/azure-attestation.md 3.2). */
const TOKEN_SECONDS = 28_800;

/** What goes into a token. */
export interface TokenParts {
  readonly issuer: string;
  readonly at: Date;
  /** 64 lower-hex digits, random. */
  readonly id: string;
  readonly policyHash: string;
  /** The signer of the stored policy, if it has one. */
  readonly policySigner: JsonObject | undefined;
  /** What the service says: what policies saw, and the rest. */
  readonly service: JsonObject | Readonly<Record<string, ClaimValue>>;
  /** What the policy issued. */
  readonly issued: IssuedClaims;
}

/**
 * The payload of an attestation token (spec/azure-attestation.md 3.2). Issued claims stand in
 * `x-ms-policy` and at the top, where a claim of the service's wins over one of the same name.
 */
export function attestationPayload(parts: TokenParts): JsonObject {
  const { issuer, at, id, policyHash, policySigner, service, issued } = parts;
  const iat = Math.floor(at.getTime() / 1000);
  return {
    ...issued,
    ...(Object.keys(issued).length === 0 ? {} : { 'x-ms-policy': { ...issued } }),
    ...service,
    ...(policySigner === undefined ? {} : { 'x-ms-policy-signer': policySigner }),
    'x-ms-policy-hash': policyHash,
    iss: issuer,
    iat,
    nbf: iat,
    exp: iat + TOKEN_SECONDS,
    jti: id,
  };
}

/** How long the answer to a management call is good (spec/azure-attestation.md 2). */
const MANAGEMENT_SECONDS = 3600;

/** The payload of a management token. */
export function managementPayload(claims: JsonObject, issuer: string, at: Date): JsonObject {
  const iat = Math.floor(at.getTime() / 1000);
  return { ...claims, iss: issuer, iat, nbf: iat, exp: iat + MANAGEMENT_SECONDS };
}
