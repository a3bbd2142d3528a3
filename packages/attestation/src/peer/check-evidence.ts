import type { CheckList } from '../check-list.ts';
import { verifyAzureEvidence } from '../evidence/verify-azure-evidence.ts';
import {
  verifyEvidence,
  type BareEvidence,
  type EvidencePrimitives,
} from '../evidence/verify-evidence.ts';
import type { IntelCollateral } from '../intel/collateral.ts';
import type { VerificationCache } from '../intel/verification-cache.ts';
import type { EvidenceRules } from '../manifest/manifest.ts';
import type { PeerClaims } from './verified-peer.ts';

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
): Promise<PeerClaims | undefined> {
  const verify = envelope.format === 'azure-hcl' ? verifyAzureEvidence : verifyEvidence;
  const result = await verify(envelope, { roots: rules.roots, ...trust });
  list.include(result.checks, 'hardware: ');
  return result.ok ? result.claims : undefined;
}
