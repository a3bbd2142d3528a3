import { MalformedError } from '@cloister/bytes';
import type { CheckList } from '../check-list.ts';
import type { SgxClaims, TdxClaims } from '../claims.ts';
import {
  intelCollateralOf,
  type EvidenceEnvelope,
  type EvidenceFormat,
} from '../evidence/envelope.ts';
import { INTEL_ROOT, type IntelCollateral } from '../intel/collateral.ts';
import type { VerificationCache } from '../intel/verification-cache.ts';
import type { EvidenceRules } from '../manifest/manifest.ts';
import { verifySgxQuote } from '../sgx/verify-sgx-quote.ts';
import { verifySimulatedQuote } from '../simulated/verify-simulated-quote.ts';
import { verifyTdxQuote } from '../tdx/verify-tdx-quote.ts';
import type { Verification } from '../verification.ts';

/** Formats of evidence under each sort of roots: a verifier holds one sort (rule 9). */
const HARDWARE: readonly EvidenceFormat[] = ['sgx-quote', 'tdx-quote'];
const SIMULATED: readonly EvidenceFormat[] = ['simulated-sgx-quote'];

/** By what evidence is judged. */
export interface EvidenceTrust {
  readonly rules: EvidenceRules;
  readonly at: Date;
  /** Used where the envelope carries no endorsements. */
  readonly collateral?: IntelCollateral | undefined;
  readonly cache?: VerificationCache | undefined;
}

/**
 * Verifies the evidence of an envelope under the roots that the manifest names. Undefined where a
 * check failed; which one stands in the list.
 */
export async function checkEvidence(
  list: CheckList,
  envelope: EvidenceEnvelope,
  trust: EvidenceTrust,
): Promise<SgxClaims | TdxClaims | undefined> {
  const { roots } = trust.rules;
  const formats = roots === 'hardware' ? HARDWARE : SIMULATED;
  const known = formats.includes(envelope.format);
  if (!list.expect('hardware: evidence format', known, 'format_not_agreed', envelope.format))
    return undefined;
  const collateral = readCollateral(envelope, trust.collateral);
  const code = collateral === null ? 'endorsements_malformed' : 'endorsements_missing';
  if (!list.expect('hardware: endorsements', !!collateral, code) || !collateral) return undefined;
  const result = await verifyQuote(envelope, collateral, trust);
  list.include(result.checks, 'hardware: ');
  return result.ok ? result.claims : undefined;
}

function verifyQuote(
  { format, evidence }: EvidenceEnvelope,
  collateral: IntelCollateral,
  { rules, at, cache }: EvidenceTrust,
): Promise<Verification<SgxClaims | TdxClaims>> {
  const cached = cache === undefined ? {} : { cache };
  if (rules.roots !== 'hardware') {
    const rootDigests = rules.roots.simulated;
    return verifySimulatedQuote(evidence, { collateral, at, rootDigests, ...cached });
  }
  const options = { collateral, at, anchors: [INTEL_ROOT], ...cached };
  return format === 'tdx-quote'
    ? verifyTdxQuote(evidence, options)
    : verifySgxQuote(evidence, options);
}

/** Null where there is collateral that cannot be read. */
function readCollateral(
  { endorsements }: EvidenceEnvelope,
  fallback: IntelCollateral | undefined,
): IntelCollateral | null | undefined {
  if (endorsements === undefined) return fallback;
  try {
    return intelCollateralOf(endorsements);
  } catch (error) {
    if (error instanceof MalformedError) return null;
    throw error;
  }
}
