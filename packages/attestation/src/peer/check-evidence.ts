import type { CheckList } from '../check-list.ts';
import type { EvidenceClaims } from '../claims.ts';
import {
  verifyEvidence,
  type BareEvidence,
  type EvidencePrimitives,
} from '../evidence/verify-evidence.ts';
import type { IntelCollateral } from '../intel/collateral.ts';
import type { VerificationCache } from '../intel/verification-cache.ts';
import type { EvidenceRules } from '../manifest/manifest.ts';

/** By what the evidence of a peer is judged. */
export interface PeerEvidenceTrust {
  readonly rules: EvidenceRules;
  readonly at: Date;
  /** Used where the envelope carries no endorsements. */
  readonly collateral?: IntelCollateral | undefined;
  readonly cache?: VerificationCache | undefined;
  readonly crypto?: EvidencePrimitives | undefined;
}

/**
 * Verifies the evidence of an envelope under the roots that the manifest names. Undefined where a
 * check failed; which one stands in the list.
 */
export async function checkEvidence(
  list: CheckList,
  envelope: BareEvidence,
  { rules, ...trust }: PeerEvidenceTrust,
): Promise<EvidenceClaims | undefined> {
  const result = await verifyEvidence(envelope, { roots: rules.roots, ...trust });
  list.include(result.checks, 'hardware: ');
  return result.ok ? result.claims : undefined;
}
