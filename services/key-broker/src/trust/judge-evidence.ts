import {
  parseRuntimeData,
  verifyPeer,
  type EvidenceEnvelope,
  type RuntimeData,
  type TrustedManifest,
  type VerificationCache,
  type VerifiedPeer,
} from '@cloister/attestation';
import { decodeBase64url, type Bytes } from '@cloister/bytes';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import { BrokerError } from '../broker-error.ts';
import type { NonceMemory } from './nonce-memory.ts';

/**
 * Verifies evidence that was made for this broker: over a nonce that it gave, used now and never
 * again, and of a service that the manifest admits (design 2.1, rule 5). BrokerError
 * `nonce_unknown` or `evidence_refused` with every check.
 */
export async function judgeEvidence(
  envelope: EvidenceEnvelope,
  options: {
    readonly manifest: TrustedManifest;
    readonly nonces: NonceMemory;
    readonly at: Date;
    readonly cache: VerificationCache;
  },
): Promise<VerifiedPeer> {
  const { manifest, nonces, at, cache } = options;
  // Not verified yet: only to know whom and what to verify.
  const claimed = parseRuntimeData(envelope.runtimeData);
  const nonce = nonceOf(claimed);
  if (nonce === undefined || !nonces.take(nonce)) throw new BrokerError('nonce_unknown');
  const verdict = await verifyPeer(envelope, {
    manifest,
    service: claimed.service,
    nonce,
    at,
    cache,
    crypto: NODE_EVIDENCE_CRYPTO,
  });
  if (!verdict.ok)
    throw new BrokerError('evidence_refused', { reason: verdict.code, checks: verdict.checks });
  return verdict.claims;
}

/** The nonce itself: a Merkle root over those of several brokers would need a path, and brokers are few. */
function nonceOf({ nonce }: RuntimeData): Bytes | undefined {
  return nonce === undefined ? undefined : decodeBase64url(nonce);
}
