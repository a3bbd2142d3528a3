import {
  encodeIntelEndorsements,
  platformCollateral,
  type EvidenceFormat,
} from '@cloister/attestation';
import type { SimulatedMachine } from '@cloister/attester';
import type { JsonObject } from '@cloister/bytes';

/**
 * Endorsements for foreign clients that bring none: those of this machine's simulated platform. For
 * hardware, clients send them along (`endorsements` in their evidence), or are refused and told so.
 */
export function collateralOf(
  platform: SimulatedMachine | undefined,
): (evidence: Uint8Array, format: EvidenceFormat) => Promise<JsonObject | undefined> {
  return async (_evidence, format) =>
    platform !== undefined && format === 'simulated-sgx-quote'
      ? encodeIntelEndorsements(platformCollateral(platform))
      : undefined;
}
