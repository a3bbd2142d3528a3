import { encodeHex } from '@cloister/bytes';
import { sgxFindings } from '../appraisal/findings.ts';
import type { SgxClaims } from '../claims.ts';
import { parseEnclaveReport, type EnclaveReport } from '../intel/enclave-report.ts';
import { verifyIntelQuote, type QuoteKind, type QuoteVerification } from '../intel/intel-quote.ts';
import type { IntelQuoteOptions } from '../intel/quote-options.ts';
import { evaluateTcb } from '../intel/tcb-evaluation.ts';

const SGX: QuoteKind<EnclaveReport, SgxClaims> = {
  tee: 'sgx',
  qeIdentityId: 'QE',
  parseBody: (quote) => parseEnclaveReport(quote.body),
  evaluateTcb: (_, inputs) => evaluateTcb(inputs),
  claimsOf: (report, platform) => ({
    tee: 'sgx',
    mrenclave: encodeHex(report.mrenclave),
    mrsigner: encodeHex(report.mrsigner),
    isvProdId: report.isvProdId,
    isvSvn: report.isvSvn,
    attributes: encodeHex(report.attributes),
    miscSelect: encodeHex(report.miscSelect),
    cpuSvn: encodeHex(report.cpuSvn),
    debug: isDebug(report),
    reportData: encodeHex(report.reportData),
    isvExtProdId: encodeHex(report.isvExtProdId),
    configId: encodeHex(report.configId),
    configSvn: report.configSvn,
    isvFamilyId: encodeHex(report.isvFamilyId),
    ...platform,
  }),
  findingsOf: (report) => sgxFindings({ debug: isDebug(report) }),
};

/** ATTRIBUTES bit 1, DEBUG. */
function isDebug({ attributes }: EnclaveReport): boolean {
  return ((attributes[0] ?? 0) & 0x02) !== 0;
}

/**
 * Verifies an SGX quote, version 3, 4 or 5, with Intel's collateral at the given time
 * (spec/evidence.md 4). The claims are genuine where it is ok; `appraise` says whether they do.
 */
export function verifySgxQuote(
  quote: Uint8Array,
  options: IntelQuoteOptions,
): Promise<QuoteVerification<SgxClaims>> {
  return verifyIntelQuote(quote, SGX, options);
}
