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

/** Names of claims that are the service's to make. */
const RESERVED: ReadonlySet<string> = new Set([
  'aas-ehd',
  'attester_tcb_status',
  'aud',
  'cnf',
  'dbgstat',
  'eat_profile',
  'exp',
  'iat',
  'intuse',
  'iss',
  'jti',
  'maa-attestationcollateral',
  'maa-ehd',
  'nbf',
  'nonce',
  'sub',
  'x-ms-attestation-type',
  'x-ms-compliance-status',
  'x-ms-inittime',
  'x-ms-policy',
  'x-ms-policy-hash',
  'x-ms-policy-signer',
  'x-ms-runtime',
  'x-ms-ver',
]);
const RESERVED_PREFIX = /^(?:x-ms-(?:sgx|sevsnpvm|tdx)-|tdx_)/;

/** Whether a claim of this name says something that only the service can know. */
function isReserved(type: string): boolean {
  return RESERVED.has(type) || RESERVED_PREFIX.test(type);
}

/**
 * The payload of an attestation token (spec/azure-attestation.md 3.2). Issued claims stand in
 * `x-ms-policy` and at the top; there a name of the service's own is the service's, also where it
 * has nothing to say under it: no policy makes up runtime data or a nonce.
 */
export function attestationPayload(parts: TokenParts): JsonObject {
  const { issuer, at, id, policyHash, policySigner, service, issued } = parts;
  const iat = Math.floor(at.getTime() / 1000);
  const top = Object.entries(issued).filter(([type]) => !isReserved(type));
  return {
    ...Object.fromEntries(top),
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
