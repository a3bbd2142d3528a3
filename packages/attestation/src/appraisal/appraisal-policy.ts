import type { Bytes } from '@cloister/bytes';
import type { TcbStatus } from '../claims.ts';

/**
 * What claims must be to be acceptable (spec/evidence.md 8). What is left out keeps its safe
 * default: hardware, no debugging, TCB UpToDate or SWHardeningNeeded, collateral in date; and
 * nothing about measurements or report data, whose checks are then listed as skipped.
 */
export interface AppraisalPolicy {
  /** One sort of evidence counts, never both (design 2.1, rule 9); hardware unless told. */
  readonly roots?: 'hardware' | 'simulated';
  /** Danger: accepts enclaves and guests whose memory their operator can read. */
  readonly allowDebug?: boolean;
  /** Accepts evidence that was verified with expired collateral. */
  readonly allowExpiredCollateral?: boolean;
  readonly tcb?: TcbPolicy;
  /** Processors that count (FMSPC, lower hex); any unless told. */
  readonly fmspcs?: readonly string[];
  /** The 64 bytes of report data, or how they begin: the rest must be zero. */
  readonly reportData?: Bytes;
  readonly sgx?: SgxPolicy;
  readonly tdx?: TdxPolicy;
  readonly snp?: SnpPolicy;
}

/** Which TCB of an Intel platform is acceptable. Revoked never is. */
export interface TcbPolicy {
  /** UpToDate and SWHardeningNeeded unless told. */
  readonly accepted?: readonly TcbStatus[];
  /** Accepts another status if there are advisories and all of them are among these. */
  readonly toleratedAdvisories?: readonly string[];
  /** Accepts another status if the TCB date is not before this: a grace period. */
  readonly acceptedFrom?: Date;
  /** Refuses every TCB with one of these advisories. */
  readonly deniedAdvisories?: readonly string[];
  /** Refuses every TCB whose date is before this. */
  readonly minDate?: Date;
  readonly minEvaluationDataNumber?: number;
}

/** Lists of values that count (lower hex); what is left out is not looked at. */
export interface SgxPolicy {
  readonly mrenclave?: readonly string[];
  readonly mrsigner?: readonly string[];
  readonly isvProdId?: number;
  readonly minIsvSvn?: number;
  readonly configId?: readonly string[];
}

/** As `SgxPolicy`, for TDs. */
export interface TdxPolicy {
  readonly mrtd?: readonly string[];
  /** For RTMR0 to RTMR3, the values that count; undefined where any does. */
  readonly rtmrs?: readonly (readonly string[] | undefined)[];
  readonly mrseam?: readonly string[];
  readonly mrconfigid?: readonly string[];
  readonly mrowner?: readonly string[];
  readonly mrownerconfig?: readonly string[];
  /** Service TDs that count; none (zero) unless told. */
  readonly mrservicetd?: readonly string[];
  /** Accepts TDs whose operator may inject #VE by removing pages. */
  readonly allowSeptVeDisableOff?: boolean;
  readonly allowMigratable?: boolean;
  /** TDATTRIBUTES bits (8 bytes, hex) that may be set besides SEPT_VE_DISABLE, PKS and PERFMON. */
  readonly extraTdAttributes?: string;
  /** XFAM bits (8 bytes, hex) that may be set besides those of 0x0006DBE7. */
  readonly extraXfam?: string;
}

/** As `SgxPolicy`, for SEV-SNP guests. */
export interface SnpPolicy {
  readonly measurement?: readonly string[];
  readonly hostData?: readonly string[];
  readonly idKeyDigest?: readonly string[];
  readonly allowMigration?: boolean;
  /** The privilege levels that may have asked; 0 unless told. */
  readonly vmpls?: readonly number[];
}
