import type { JsonObject } from '@cloister/bytes';
import type { EvidenceClaims, SgxClaims, SnpClaims, TdxClaims } from '../claims.ts';
import { serviceClaim, type ClaimValue, type PolicyClaim } from './policy-claim.ts';

/** Claims by their type. */
export type ScalarClaims = Readonly<Record<string, ClaimValue>>;

/** `x-ms-ver` of every token (spec/azure-attestation.md 3.2). */
export const CLAIMS_VERSION: string = '1.0';

/** The older names of incoming claims of an enclave (spec/azure-attestation.md 3.3). */
const SGX_ALIASES: Readonly<Record<string, string>> = {
  '$is-debuggable': 'x-ms-sgx-is-debuggable',
  '$product-id': 'x-ms-sgx-product-id',
  '$sgx-mrsigner': 'x-ms-sgx-mrsigner',
  '$sgx-mrenclave': 'x-ms-sgx-mrenclave',
  $svn: 'x-ms-sgx-svn',
  $tee: 'x-ms-attestation-type',
  '$maa-ehd': 'maa-ehd',
  '$aas-ehd': 'aas-ehd',
  '$maa-attestationcollateral': 'maa-attestationcollateral',
};

/** What verified evidence says, in the words of Azure Attestation's tokens (3.3 to 3.5). */
export function scalarClaimsOf(claims: EvidenceClaims): ScalarClaims {
  if (claims.tee === 'sgx') return sgxScalars(claims);
  return claims.tee === 'tdx' ? tdxScalars(claims) : snpScalars(claims);
}

/**
 * The claims that a policy sees (spec/azure-attestation.md 4.6): what the evidence says, and what
 * the service says besides it, objects as JSON text that may be looked at and never be issued; an
 * enclave's also by their older names.
 */
export function incomingClaims(options: {
  readonly tee: EvidenceClaims['tee'];
  readonly scalars: ScalarClaims;
  readonly said?: JsonObject;
  /** `x-ms-policy-hash`. */
  readonly policyHash: string;
}): PolicyClaim[] {
  const { tee, scalars, said = {}, policyHash } = options;
  const claims = new Map<string, PolicyClaim>();
  const add = (claim: PolicyClaim): unknown => claims.set(claim.type, claim);
  for (const type of Object.keys(scalars)) {
    const value = scalars[type];
    if (value !== undefined) add(serviceClaim(type, value));
  }
  for (const [type, value] of Object.entries(said)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    add(serviceClaim(type, text, typeof value !== 'string'));
  }
  if (tee === 'sgx')
    for (const [type, of] of Object.entries(SGX_ALIASES)) {
      const claim = claims.get(of);
      if (claim !== undefined) add({ ...claim, type });
    }
  add(serviceClaim('x-ms-ver', CLAIMS_VERSION));
  add(serviceClaim('x-ms-policy-hash', policyHash));
  return [...claims.values()];
}

/** Whether an enclave has Key Separation and Sharing, and with it CONFIGID and its relatives. */
export function hasKss({ attributes }: Pick<SgxClaims, 'attributes'>): boolean {
  // ATTRIBUTES.KSS (Intel SDM vol. 3D, 35.7.1).
  return (Number.parseInt(attributes.slice(0, 2), 16) & 0x80) !== 0;
}

function sgxScalars(claims: SgxClaims): ScalarClaims {
  return {
    'x-ms-attestation-type': claims.simulated ? 'simulated' : 'sgx',
    'x-ms-sgx-is-debuggable': claims.debug,
    'x-ms-sgx-product-id': claims.isvProdId,
    'x-ms-sgx-svn': claims.isvSvn,
    'x-ms-sgx-mrenclave': claims.mrenclave,
    'x-ms-sgx-mrsigner': claims.mrsigner,
    'x-ms-sgx-report-data': claims.reportData,
    ...(hasKss(claims)
      ? {
          'x-ms-sgx-config-id': claims.configId,
          'x-ms-sgx-config-svn': claims.configSvn,
          'x-ms-sgx-isv-extended-product-id': claims.isvExtProdId,
          'x-ms-sgx-isv-family-id': claims.isvFamilyId,
        }
      : {}),
  };
}

function tdxScalars(claims: TdxClaims): ScalarClaims {
  const attributes = littleEndian(claims.tdAttributes);
  const bit = (number: bigint): boolean => ((attributes >> number) & 1n) === 1n;
  const [rtmr0, rtmr1, rtmr2, rtmr3] = claims.rtmrs;
  return {
    'x-ms-attestation-type': 'tdxvm',
    eat_profile: 'https://aka.ms/maa-eat-profile-tdxvm',
    intuse: 'generic',
    dbgstat: claims.debug ? 'enabled' : 'disabled',
    attester_tcb_status: claims.tcbStatus,
    tdx_mrseam: claims.mrseam,
    tdx_mrsignerseam: claims.mrsignerseam,
    tdx_mrtd: claims.mrtd,
    tdx_rtmr0: rtmr0,
    tdx_rtmr1: rtmr1,
    tdx_rtmr2: rtmr2,
    tdx_rtmr3: rtmr3,
    tdx_mrconfigid: claims.mrconfigid,
    tdx_mrowner: claims.mrowner,
    tdx_mrownerconfig: claims.mrownerconfig,
    tdx_report_data: claims.reportData,
    tdx_seam_attributes: claims.seamAttributes,
    tdx_seamsvn: Number.parseInt(claims.teeTcbSvn.slice(0, 2), 16),
    tdx_td_attributes: claims.tdAttributes,
    tdx_td_attributes_debug: bit(0n),
    tdx_td_attributes_septve_disable: bit(28n),
    tdx_td_attributes_protection_keys: bit(30n),
    tdx_td_attributes_key_locker: bit(31n),
    tdx_td_attributes_perfmon: bit(63n),
    tdx_tee_tcb_svn: claims.teeTcbSvn,
    tdx_xfam: claims.xfam,
  };
}

function littleEndian(hex: string): bigint {
  return BigInt(`0x${hex.match(/../g)?.toReversed().join('') ?? '0'}`);
}

function snpScalars(claims: SnpClaims): ScalarClaims {
  const smt = ((BigInt(claims.policy) >> 16n) & 1n) === 1n;
  const { bootloader, tee, snp, microcode } = claims.reportedTcb;
  return {
    'x-ms-attestation-type': 'sevsnpvm',
    'x-ms-sevsnpvm-authorkeydigest': claims.authorKeyDigest,
    'x-ms-sevsnpvm-bootloader-svn': bootloader,
    'x-ms-sevsnpvm-familyId': claims.familyId,
    'x-ms-sevsnpvm-guestsvn': claims.guestSvn,
    'x-ms-sevsnpvm-hostdata': claims.hostData,
    'x-ms-sevsnpvm-idkeydigest': claims.idKeyDigest,
    'x-ms-sevsnpvm-imageId': claims.imageId,
    'x-ms-sevsnpvm-is-debuggable': claims.debug,
    'x-ms-sevsnpvm-launchmeasurement': claims.measurement,
    'x-ms-sevsnpvm-microcode-svn': microcode,
    'x-ms-sevsnpvm-migration-allowed': claims.migrateMA,
    'x-ms-sevsnpvm-reportdata': claims.reportData,
    'x-ms-sevsnpvm-reportid': claims.reportId,
    'x-ms-sevsnpvm-smt-allowed': smt,
    'x-ms-sevsnpvm-snpfw-svn': snp,
    'x-ms-sevsnpvm-tee-svn': tee,
    'x-ms-sevsnpvm-vmpl': claims.vmpl,
  };
}
