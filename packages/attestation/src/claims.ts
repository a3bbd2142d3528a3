/** What Intel's TCB evaluation can come to (spec/evidence.md, 3.1 and 7). */
export type TcbStatus =
  | 'UpToDate'
  | 'SWHardeningNeeded'
  | 'ConfigurationNeeded'
  | 'ConfigurationAndSWHardeningNeeded'
  | 'OutOfDate'
  | 'OutOfDateConfigurationNeeded'
  | 'TDRelaunchAdvised'
  | 'TDRelaunchAdvisedConfigurationNeeded'
  | 'Revoked';

/**
 * What is known of the platform behind an Intel quote: from its PCK certificate and from the TCB
 * level that was selected. Hex is lower case; `pckSerial` is `0x` and the number.
 */
export interface IntelPlatformClaims {
  /**
   * Whether the chain ends in another root than Intel's: then no hardware stands behind it
   * (design 2.1, rule 9). It follows from the root alone, never from an option.
   */
  readonly simulated: boolean;
  readonly fmspc: string;
  readonly pceId: string;
  readonly pceSvn: number;
  readonly pckCpuSvn: string;
  readonly ppid: string;
  readonly pckSerial: string;
  /** Common name of the CA that issued the PCK certificate. */
  readonly pckCa: string;
  readonly tcbStatus: TcbStatus;
  /** Advisories of the platform, QE and module levels that were selected; sorted, no duplicates. */
  readonly advisoryIds: readonly string[];
  /** The earliest date of the levels that were used, as the document writes it. */
  readonly tcbDate: string;
  /** The lower one of TCB info and QE identity. */
  readonly tcbEvaluationDataNumber: number;
  /** True only under the option `allowExpiredCollateral`. */
  readonly collateralExpired: boolean;
  /** Bytes after the signature data, which no signature covers. */
  readonly trailingBytes: number;
}

/** What an SGX quote says (spec/evidence.md 1.3), with names of the vectors' claims. */
export interface SgxClaims extends IntelPlatformClaims {
  readonly tee: 'sgx';
  readonly mrenclave: string;
  readonly mrsigner: string;
  readonly isvProdId: number;
  readonly isvSvn: number;
  /** 8 bytes of flags, then 8 bytes of XFRM. */
  readonly attributes: string;
  readonly miscSelect: string;
  readonly cpuSvn: string;
  readonly debug: boolean;
  readonly reportData: string;
  /** Of enclaves with KSS; zero in others. */
  readonly isvExtProdId: string;
  readonly configId: string;
  readonly configSvn: number;
  readonly isvFamilyId: string;
}

/** What a TDX quote says (spec/evidence.md 1.4), with names of the vectors' claims. */
export interface TdxClaims extends IntelPlatformClaims {
  readonly tee: 'tdx';
  readonly mrtd: string;
  /** RTMR0 to RTMR3. */
  readonly rtmrs: readonly [string, string, string, string];
  readonly mrseam: string;
  readonly mrsignerseam: string;
  readonly seamAttributes: string;
  readonly tdAttributes: string;
  readonly xfam: string;
  readonly mrconfigid: string;
  readonly mrowner: string;
  readonly mrownerconfig: string;
  readonly teeTcbSvn: string;
  readonly debug: boolean;
  readonly septVeDisable: boolean;
  readonly reportData: string;
  /** From TDX 1.5 on. */
  readonly teeTcbSvn2?: string;
  /** From TDX 1.5 on. */
  readonly mrservicetd?: string;
  /** Status by the module that launched the TD, before relaunch advice (7.1). */
  readonly launchTcbStatus: TcbStatus;
  /** Status by the module that runs now; from TDX 1.5 on. */
  readonly currentTcbStatus?: TcbStatus;
}

/** One TCB_VERSION of AMD (spec/evidence.md 9.2); `fmc` exists from Turin on. */
export interface SnpTcb {
  readonly fmc?: number;
  readonly bootloader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
}

/** What a VCEK or VLEK certificate says (spec/evidence.md 9.5), with names of the vectors' claims. */
export interface SnpVekClaims {
  /** `0x` and the number: AMD gives all of them 0. */
  readonly serial: string;
  readonly structVersion: number;
  readonly productName: string;
  readonly blSPL: number;
  readonly teeSPL: number;
  readonly snpSPL: number;
  readonly ucodeSPL: number;
  /** From Turin on. */
  readonly fmcSPL?: number;
  /** The chip; of VCEKs. */
  readonly hwId?: string;
  /** The provider whose key it is; of VLEKs. */
  readonly cspId?: string;
}

/** What an SEV-SNP report says (spec/evidence.md 9.1), with names of the vectors' claims. */
export interface SnpClaims {
  readonly tee: 'snp';
  readonly simulated: boolean;
  readonly product: 'Milan' | 'Genoa' | 'Turin';
  readonly signingKey: 'vcek' | 'vlek';
  readonly guestSvn: number;
  /** `0x` and the number. */
  readonly policy: string;
  readonly debug: boolean;
  readonly migrateMA: boolean;
  readonly familyId: string;
  readonly imageId: string;
  readonly vmpl: number;
  /** `0x` and the number. */
  readonly platformInfo: string;
  readonly reportData: string;
  readonly measurement: string;
  readonly hostData: string;
  readonly idKeyDigest: string;
  readonly authorKeyDigest: string;
  readonly authorKeyEnabled: boolean;
  readonly maskChipKey: boolean;
  readonly reportId: string;
  readonly reportIdMa: string;
  readonly chipId: string;
  readonly chipIdMasked: boolean;
  readonly cpuid: {
    readonly family: number;
    readonly model: number;
    readonly stepping: number;
  } | null;
  readonly currentTcb: SnpTcb;
  readonly reportedTcb: SnpTcb;
  readonly committedTcb: SnpTcb;
  readonly launchTcb: SnpTcb;
  /** Of the firmware: major, minor, build. */
  readonly currentVersion: readonly [number, number, number];
  readonly committedVersion: readonly [number, number, number];
  /** From report version 5 on. */
  readonly launchMitVector?: string;
  /** From report version 5 on. */
  readonly currentMitVector?: string;
  /** What the certificate of the signing key says. */
  readonly vek?: SnpVekClaims;
}

/** The claims of verified evidence of any kind. */
export type EvidenceClaims = SgxClaims | TdxClaims | SnpClaims;
