import {
  encodeIntelEndorsements,
  intelQueryOf,
  platformCollateral,
  type EvidenceFormat,
} from '@cloister/attestation';
import type { SimulatedMachine } from '@cloister/attester';
import { MalformedError, type JsonObject } from '@cloister/bytes';
import type { AttestationClient } from '@cloister/client';

/** Finds the endorsements of evidence whose client brought none. */
export type CollateralFinder = (
  evidence: Uint8Array,
  format: EvidenceFormat,
) => Promise<JsonObject | undefined>;

/**
 * Endorsements for foreign clients, which bring none as a rule: of this machine's simulated platform,
 * or Intel's from the attestation service. They are signed by the maker, so who hands them over
 * decides nothing; where there are none, the evidence is refused.
 */
export function collateralOf(
  platform: SimulatedMachine | undefined,
  attestation?: Pick<AttestationClient, 'collateral'>,
): CollateralFinder {
  return async (evidence, format) => {
    if (format === 'simulated-sgx-quote')
      return platform && encodeIntelEndorsements(platformCollateral(platform));
    if (attestation === undefined || format === 'snp-report') return undefined;
    try {
      const { tee, fmspc, ca } = intelQueryOf(evidence);
      return await attestation.collateral(tee, { fmspc, ca });
    } catch (error) {
      // The quote names no platform: then no collateral fits it, and its verification says why.
      if (error instanceof MalformedError) return undefined;
      throw error;
    }
  };
}
