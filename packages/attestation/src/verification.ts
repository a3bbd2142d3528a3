/**
 * One line of a result: what was looked at, and what came of it. Codes of evidence are those of
 * spec/evidence.md 11a, others are snake_case; `detail` names structures, never input bytes.
 */
export interface Check {
  readonly check: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly code?: string;
  readonly detail?: string;
}

/** Every check is listed, whatever came of it; claims exist only where all of them passed. */
export type Verification<T> =
  | { readonly ok: true; readonly claims: T; readonly checks: readonly Check[] }
  | { readonly ok: false; readonly code: string; readonly checks: readonly Check[] };

/**
 * What a policy says about claims that were verified before. `findings` are the facts that a
 * default policy refuses, whether or not this one does (names of the vectors' `policyFindings`).
 */
export interface Appraisal {
  readonly ok: boolean;
  readonly code?: string;
  readonly checks: readonly Check[];
  readonly findings: readonly string[];
}

/** The codes that the verifiers of evidence give (spec/evidence.md 11a). */
export type EvidenceCode =
  | 'quote.format'
  | 'pck.chain'
  | 'pck.expired'
  | 'pck.revoked'
  | 'pckca.revoked'
  | 'tcbsigner.revoked'
  | 'crl.format'
  | 'crl.issuer'
  | 'crl.signature'
  | 'crl.expired'
  | 'tcbinfo.signature'
  | 'tcbinfo.invalid'
  | 'tcbinfo.expired'
  | 'tcbinfo.mismatch'
  | 'qeid.signature'
  | 'qeid.expired'
  | 'qeid.mismatch'
  | 'tdxmodule.mismatch'
  | 'qereport.signature'
  | 'qereport.data'
  | 'quote.signature'
  | 'tcb.unsupported'
  | 'tcb.revoked'
  | 'snp.format'
  | 'snp.signer'
  | 'snp.product'
  | 'snp.chain'
  | 'snp.signature'
  | 'snp.tcb'
  | 'snp.chip'
  | 'hcl.format'
  | 'hcl.binding'
  | 'tpm.format'
  | 'tpm.signature'
  | 'tpm.nonce'
  | 'tpm.pcrs';

/** The codes that `appraise` and `admit` give of hardware. */
export type PolicyCode =
  | 'policy.debug'
  | 'policy.simulated'
  | 'policy.tcb'
  | 'policy.tcb_date'
  | 'policy.evaluation_number'
  | 'policy.advisory'
  | 'policy.platform'
  | 'policy.sept_ve'
  | 'policy.mrservicetd'
  | 'policy.migratable'
  | 'policy.attributes'
  | 'policy.xfam'
  | 'policy.measurement'
  | 'policy.report_data'
  | 'policy.collateral_expired'
  | 'policy.secure_boot'
  | 'policy.vtpm';
