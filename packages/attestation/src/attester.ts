import type { Bytes, JsonObject } from '@cloister/bytes';
import type { EvidenceEnvelope, EvidenceFormat } from './evidence/envelope.ts';

/**
 * The hardware, or what stands in for it: it signs 64 bytes of report data together with the
 * identity of the code that asks (RFC 9334, Attester).
 */
export interface Attester {
  /** Whose evidence this is: a simulated attester says so here, in every envelope. */
  readonly format: EvidenceFormat;
  /** Evidence over exactly these 64 bytes of report data. */
  quote(reportData: Bytes): Promise<Bytes>;
  /** The endorsements that verify it, where the attester has them at hand (design 3.7). */
  endorsements(): Promise<JsonObject | undefined>;
}

/** What a service needs to answer `/attestation/evidence`. */
export interface EvidenceSource {
  /** Fresh evidence; its runtime data carry the nonce where one is given. */
  evidence(nonce?: Bytes): Promise<EvidenceEnvelope>;
  /** The bytes of `application/ohttp-keys`, as in the runtime data's `ohttp`. */
  readonly ohttpKeys?: Bytes | undefined;
}
