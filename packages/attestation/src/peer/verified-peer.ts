import type { Bytes, JsonObject } from '@cloister/bytes';
import type { Jwk } from '@cloister/crypto';
import type { ModelIdentity } from '../binding/runtime-data.ts';
import type { HclClaims } from '../azure-hcl/verify-hcl-report.ts';
import type { EvidenceClaims } from '../claims.ts';

const VERIFIED: unique symbol = Symbol('made by the verifiers of peers');

/** The claims by which a peer was admitted: of its processor, or of a confidential VM of Azure. */
export type PeerClaims = EvidenceClaims | HclClaims;

/** A service whose evidence was verified against the manifest: only `verifyPeer` makes one. */
export interface VerifiedPeer {
  readonly [VERIFIED]: true;
  readonly service: string;
  /** The manifest by which it was judged. */
  readonly manifestId: string;
  /** Whether software stood in for the hardware (design 2.1, rule 9). */
  readonly simulated: boolean;
  readonly tee: PeerClaims['tee'];
  /** The P-256 key with which it signs. */
  readonly sig: Jwk;
  /** The RSA key to which secrets are encrypted. */
  readonly enc: Jwk;
  /** `application/ohttp-keys`: the channel's key configurations. */
  readonly ohttp?: Bytes;
  /** SHA-256 of the SPKI of its TLS key, where it has one. */
  readonly tls?: string;
  /** The models that it says it loaded. */
  readonly models: readonly ModelIdentity[];
  /** SHA-256 of the evidence, lower hex. */
  readonly evidenceDigest: string;
  readonly claims: PeerClaims;
  /** The claims of the token that agreed with the evidence. */
  readonly tokenClaims?: JsonObject;
  readonly verifiedAt: Date;
}

/** A caller whose token was verified against the manifest: only `verifyCaller` makes one. */
export interface VerifiedCaller {
  readonly [VERIFIED]: true;
  readonly service: string;
  readonly manifestId: string;
  readonly simulated: boolean;
  /** The key with which it has yet to sign its call: a token is public (design 2.1, rule 4). */
  readonly sig: Jwk;
  readonly enc: Jwk;
  readonly tokenClaims: JsonObject;
  /** When the token ends, in seconds since 1970. */
  readonly exp: number;
}

const made = new WeakSet<object>();

/** Whether this very object came from `verifyPeer` or `verifyCaller`. */
export function isVerified(peer: VerifiedPeer | VerifiedCaller): boolean {
  return made.has(peer);
}

/** Marks a peer or caller as verified; for the verifiers alone, the package does not export it. */
export function markVerified(peer: Omit<VerifiedPeer, typeof VERIFIED>): VerifiedPeer;
export function markVerified(caller: Omit<VerifiedCaller, typeof VERIFIED>): VerifiedCaller;
export function markVerified(
  value: Omit<VerifiedPeer, typeof VERIFIED> | Omit<VerifiedCaller, typeof VERIFIED>,
): VerifiedPeer | VerifiedCaller {
  const verified = Object.freeze({ [VERIFIED]: true as const, ...value });
  made.add(verified);
  return verified;
}
