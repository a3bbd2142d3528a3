import type { Bytes } from '@cloister/bytes';
import type { SnpClaims, SnpTcb, TcbStatus } from '../claims.ts';

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

/** As `SgxPolicy`, for SEV-SNP guests (spec/evidence.md 9.4 and 9.6.8). */
export interface SnpPolicy {
  readonly measurement?: readonly string[];
  readonly hostData?: readonly string[];
  readonly idKeyDigest?: readonly string[];
  /** Refuses guests whose ID key no author signed. */
  readonly authorKeyDigest?: readonly string[];
  readonly familyId?: readonly string[];
  readonly imageId?: readonly string[];
  readonly minGuestSvn?: number;
  readonly allowMigration?: boolean;
  /** The privilege levels that may have asked; 0 unless told. */
  readonly vmpls?: readonly number[];
  /** The least TCBs by product line; lines that are not named do not count. */
  readonly tcb?: Readonly<Partial<Record<SnpClaims['product'], SnpTcbPolicy>>>;
  /** Firmware version that runs at least: major, minor, build. */
  readonly minVersion?: readonly [number, number, number];
  /** Chips that count (CHIP_ID); a masked one never does. */
  readonly chipIds?: readonly string[];
  /** Providers whose VLEKs count; a VCEK has none. */
  readonly cspIds?: readonly string[];
  /** Bits of POLICY: what the guest's owner lets the host do. */
  readonly guestPolicy?: BitPolicy;
  /** Bits of PLATFORM_INFO, of which 5 says that aliases were looked for (BadRAM). */
  readonly platformInfo?: BitPolicy;
  /** Bits of LAUNCH_MIT_VECTOR; reports before version 5 have none, and are refused. */
  readonly launchMitigations?: BitPolicy;
  /** Bits of CURRENT_MIT_VECTOR. */
  readonly currentMitigations?: BitPolicy;
}

/** The least TCBs of one product line; components that are left out may be anything. */
export interface SnpTcbPolicy {
  readonly reported?: Partial<SnpTcb>;
  readonly committed?: Partial<SnpTcb>;
  readonly launch?: Partial<SnpTcb>;
}

/** Bits that must be set, and bits that must not. */
export interface BitPolicy {
  readonly required?: bigint;
  readonly forbidden?: bigint;
}
