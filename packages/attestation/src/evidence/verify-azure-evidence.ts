import { parseAzureEvidence, type AzureEvidence } from '../azure-hcl/azure-evidence.ts';
import { attempt } from '../azure-hcl/hcl-binding.ts';
import { TPM_NONCE_CHECK } from '../azure-hcl/tpm-quote.ts';
import {
  verifyHclReport,
  type HclClaims,
  type HclHardware,
} from '../azure-hcl/verify-hcl-report.ts';
import { CheckList } from '../check-list.ts';
import { snpEndorsementsOf } from '../snp/endorsements.ts';
import type { Verification } from '../verification.ts';
import { intelCollateralOf } from './envelope.ts';
import { readOrNull, type BareEvidence, type EvidenceTrust } from './verify-evidence.ts';

const PREFIX = 'hardware: ';

/**
 * Verifies evidence of format `azure-hcl` (spec/evidence.md 10): the processor's report of the
 * paravisor, the paravisor's word for the vTPM's key, that key's quote of the registers. Its
 * endorsements are those of the processor, AMD's or Intel's. There is no simulated form of it.
 * What the quote carries, and whose registers these are, is not judged here.
 */
export async function verifyAzureEvidence(
  { format, evidence, endorsements }: BareEvidence,
  trust: EvidenceTrust,
): Promise<Verification<HclClaims>> {
  const list = new CheckList();
  const { roots, at, cache } = trust;
  const known = format === 'azure-hcl' && roots === 'hardware';
  if (!list.expect('evidence format', known, 'format_not_agreed', format)) return list.refusal();
  const parts = attempt(() => parseAzureEvidence(evidence));
  if (!list.expect('Azure evidence', !!parts, 'hcl.format') || !parts) return list.refusal();
  const hardware = readOrNull(() => hardwareOf(parts, endorsements, trust));
  const code = hardware === null ? 'endorsements_malformed' : 'endorsements_missing';
  if (!list.expect('endorsements', !!hardware, code) || !hardware) return list.refusal();
  const result = await verifyHclReport(parts.hclReport, {
    hardware,
    tpmQuote: parts.tpmQuote,
    at,
    ...(cache === undefined ? {} : { cache }),
  });
  // The quote's nonce is the digest of the runtime data, which the caller has to compare.
  const made = result.checks
    .filter(({ check }) => check !== TPM_NONCE_CHECK)
    .map(({ check, ...rest }) => ({
      check: check.startsWith(PREFIX) ? check.slice(PREFIX.length) : check,
      ...rest,
    }));
  return { ...result, checks: [...list.checks, ...made] };
}

/** A TD quote beside the report makes it a TDX machine; the report has to agree. */
function hardwareOf(
  { tdQuote }: AzureEvidence,
  endorsements: BareEvidence['endorsements'],
  { collateral: fallback, crypto }: EvidenceTrust,
): HclHardware | undefined {
  const common = crypto === undefined ? {} : { crypto };
  if (tdQuote === undefined) {
    return endorsements && { tee: 'snp', ...snpEndorsementsOf(endorsements), ...common };
  }
  const collateral = endorsements === undefined ? fallback : intelCollateralOf(endorsements);
  return collateral && { tee: 'tdx', quote: tdQuote, collateral, ...common };
}
