import type { Bytes } from '@cloister/bytes';
import { CheckList } from '../check-list.ts';
import type { SnpClaims, TdxClaims } from '../claims.ts';
import { INTEL_ROOT } from '../intel/collateral.ts';
import type { IntelQuoteOptions } from '../intel/quote-options.ts';
import type { VerificationCache } from '../intel/verification-cache.ts';
import { verifySnpReport, type SnpReportOptions } from '../snp/verify-snp-report.ts';
import { verifyTdxQuote } from '../tdx/verify-tdx-quote.ts';
import type { Verification } from '../verification.ts';
import { checkHclBinding, type BoundHclReport } from './hcl-binding.ts';
import type { HclRuntimeClaims } from './runtime-claims.ts';
import { checkTpmQuote, type TpmQuote, type VerifiedTpmQuote } from './tpm-quote.ts';

/** With what the hardware report inside is verified. */
export type HclHardware =
  | ({ readonly tee: 'snp' } & Omit<SnpReportOptions, 'at' | 'cache'>)
  | ({
      readonly tee: 'tdx';
      /** The TD quote over the same report data: the TDREPORT inside proves nothing to others. */
      readonly quote: Bytes;
      /** Intel's root unless told. */
      readonly anchors?: IntelQuoteOptions['anchors'];
    } & Omit<IntelQuoteOptions, 'at' | 'cache' | 'anchors'>);

/** What an HCL report is verified with. */
export interface HclReportOptions {
  readonly hardware: HclHardware;
  /** The vTPM's quote; without it nothing is known of what the guest booted. */
  readonly tpmQuote?: TpmQuote;
  /** What the vTPM's quote must carry; without it the quote may be old. */
  readonly nonce?: Bytes;
  /** The caller's clock; libraries have none. */
  readonly at: Date;
  readonly cache?: VerificationCache;
}

/**
 * What is known of a confidential VM of Azure. Hardware measured Microsoft's paravisor, the
 * paravisor's vTPM measured the guest: registers mean something only where `hardware` (its launch
 * measurement, or the key that signed its identity) is one that the caller knows as Microsoft's.
 */
export interface HclClaims {
  readonly tee: 'azure-cvm';
  readonly simulated: boolean;
  readonly debug: boolean;
  /** To be judged by `appraise`, its measurement above all. */
  readonly hardware: SnpClaims | TdxClaims;
  readonly runtime: HclRuntimeClaims;
  /** SHA-256 PCRs that the vTPM's quote vouches for, by number; none without a quote. */
  readonly pcrs: Readonly<Record<string, string>>;
  /** What the guest had the quote carry, lower hex; absent without a quote. */
  readonly qualifyingData?: string;
}

/**
 * Verifies an HCL report with the SNP report or TD quote of its machine, and the quote of its vTPM
 * if one is given (spec/evidence.md 10). The claims are genuine where it is ok; whether they are
 * acceptable is another question, see `HclClaims`.
 */
export async function verifyHclReport(
  bytes: Uint8Array,
  options: HclReportOptions,
): Promise<Verification<HclClaims>> {
  const list = new CheckList();
  const { tpmQuote, nonce } = options;
  const bound = await checkHclBinding(bytes);
  list.include(bound.checks);
  if (!bound.ok) return list.refusal();
  const { report, runtime, reportData } = bound.claims;
  const sameTee = options.hardware.tee === report.tee;
  if (!list.expect('hardware evidence is of this TEE', sameTee, 'hcl.format')) {
    return list.refusal();
  }
  const verified = await verifyHardware(bound.claims, options);
  list.include(verified.checks, 'hardware: ');
  if (!verified.ok) return list.refusal();
  const hardware = verified.claims;
  const vouched = hardware.reportData === reportData;
  list.expect('hardware vouches for the runtime claims', vouched, 'hcl.binding');
  let quote: VerifiedTpmQuote | undefined;
  if (tpmQuote === undefined) list.skip('TPM quote', 'none given');
  else quote = await checkTpmQuote(list, tpmQuote, runtime.attestationKey, nonce);
  const { simulated, debug } = hardware;
  const common = { tee: 'azure-cvm', simulated, debug, hardware, runtime } as const;
  return list.result({ ...common, pcrs: {}, ...quote });
}

function verifyHardware(
  { report }: BoundHclReport,
  { hardware, at, cache }: HclReportOptions,
): Promise<Verification<SnpClaims | TdxClaims>> {
  const common = { at, ...(cache === undefined ? {} : { cache }) };
  if (hardware.tee === 'snp') {
    return verifySnpReport(report.hardwareReport, { ...hardware, ...common });
  }
  const { quote, anchors = [INTEL_ROOT], ...rest } = hardware;
  return verifyTdxQuote(quote, { ...rest, ...common, anchors });
}
