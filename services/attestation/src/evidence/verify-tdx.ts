import { verifyTdxQuote, type ClaimValue, type TdxClaims } from '@cloister/attestation';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import { refusalOf } from '../refusal.ts';
import { collateralFor } from './intel-collateral.ts';
import type { VerifyEvidence } from './verified-evidence.ts';

/** A TDX quote; the init-time data's hash is looked for in MRCONFIGID (spec/azure-attestation.md 1.4). */
export const verifyTdx: VerifyEvidence = async (quote, deps, baseline) => {
  const { roots, cache, verificationTime } = deps;
  const result = await verifyTdxQuote(quote, {
    collateral: await collateralFor('tdx', quote, deps, baseline),
    at: verificationTime(),
    anchors: roots.anchors,
    cache,
    crypto: NODE_EVIDENCE_CRYPTO,
  });
  if (!result.ok) throw refusalOf(result.code, result.checks);
  const { claims, checks } = result;
  return {
    claims,
    checks,
    scalars: tdxScalars(claims),
    objects: {},
    aliases: {},
    heldDataNames: ['x-ms-tdx-ehd'],
    reportData: claims.reportData,
    initTimeRegister: claims.mrconfigid,
  };
};

/** The claims of a TD (spec/azure-attestation.md 3.5). */
function tdxScalars(claims: TdxClaims): Record<string, ClaimValue> {
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
