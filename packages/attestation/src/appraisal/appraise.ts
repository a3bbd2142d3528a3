import { concatBytes, decodeHex, equalBytes } from '@cloister/bytes';
import { CheckList } from '../check-list.ts';
import type { EvidenceClaims, IntelPlatformClaims, SgxClaims, TdxClaims } from '../claims.ts';
import type { Appraisal } from '../verification.ts';
import type { AppraisalPolicy, TcbPolicy, TdxPolicy } from './appraisal-policy.ts';
import { appraiseSnp } from './appraise-snp.ts';
import { expectAmong } from './expect-among.ts';
import { appraiseEnclaveAttributes, appraiseTdAttributes } from './attributes.ts';
import { DEFAULT_TCB_STATUSES, findingsOf } from './findings.ts';

const NO_SERVICE_TD = '0'.repeat(96);

/** An appraisal of verified claims, and whether they were bound to what the caller expects. */
export interface ClaimsAppraisal extends Appraisal {
  /** False where the policy names no report data: then nothing says whose claims these are. */
  readonly reportDataChecked: boolean;
}

/**
 * Whether claims that were verified are acceptable (spec/evidence.md 7.3 and 8). Refuses simulated
 * roots, debugging and TCBs other than UpToDate and SWHardeningNeeded unless the policy names them.
 */
export function appraise(claims: EvidenceClaims, policy: AppraisalPolicy): ClaimsAppraisal {
  const list = new CheckList();
  const { roots = 'hardware', allowDebug = false } = policy;
  list.expect('sort of evidence', claims.simulated === (roots === 'simulated'), 'policy.simulated');
  list.expect('not debuggable', !claims.debug || allowDebug, 'policy.debug');
  if (claims.tee === 'snp') appraiseSnp(list, claims, policy.snp ?? {});
  else {
    appraisePlatform(list, claims, policy);
    if (claims.tee === 'sgx') appraiseSgx(list, claims, policy);
    else appraiseTdx(list, claims, policy.tdx ?? {});
  }
  appraiseReportData(list, claims.reportData, policy);
  const { code } = list;
  return {
    ok: code === undefined,
    ...(code === undefined ? {} : { code }),
    checks: list.checks,
    findings: [...findingsOf(claims), ...(claims.simulated ? ['simulated'] : [])],
    reportDataChecked: policy.reportData !== undefined,
  };
}

function appraisePlatform(
  list: CheckList,
  claims: IntelPlatformClaims,
  { tcb = {}, fmspcs, allowExpiredCollateral = false }: AppraisalPolicy,
): void {
  const inDate = !claims.collateralExpired || allowExpiredCollateral;
  list.expect('collateral in date', inDate, 'policy.collateral_expired');
  list.expect('TCB status', isAcceptedTcb(claims, tcb), 'policy.tcb', claims.tcbStatus);
  const denied = claims.advisoryIds.find((id) => tcb.deniedAdvisories?.includes(id));
  if (tcb.deniedAdvisories === undefined) list.skip('no denied advisory', 'none named');
  else list.expect('no denied advisory', denied === undefined, 'policy.advisory', denied);
  if (tcb.minDate === undefined) list.skip('TCB date', 'any');
  else {
    // An invalid date compares as false, and so refuses.
    list.expect('TCB date', new Date(claims.tcbDate) >= tcb.minDate, 'policy.tcb_date');
  }
  const { minEvaluationDataNumber: lowest } = tcb;
  if (lowest === undefined) list.skip('TCB evaluation data number', 'any');
  else {
    const reached = claims.tcbEvaluationDataNumber >= lowest;
    list.expect('TCB evaluation data number', reached, 'policy.evaluation_number');
  }
  expectAmong(list, 'FMSPC', claims.fmspc, fmspcs, 'policy.platform');
}

function isAcceptedTcb(
  { tcbStatus, tcbDate, advisoryIds }: IntelPlatformClaims,
  { accepted = DEFAULT_TCB_STATUSES, toleratedAdvisories, acceptedFrom }: TcbPolicy,
): boolean {
  if (tcbStatus === 'Revoked') return false;
  if (accepted.includes(tcbStatus)) return true;
  const tolerated =
    toleratedAdvisories !== undefined &&
    advisoryIds.length > 0 &&
    advisoryIds.every((id) => toleratedAdvisories.includes(id));
  return tolerated || (acceptedFrom !== undefined && new Date(tcbDate) >= acceptedFrom);
}

function appraiseSgx(list: CheckList, claims: SgxClaims, { sgx = {} }: AppraisalPolicy): void {
  appraiseEnclaveAttributes(list, claims);
  const measured = 'policy.measurement';
  expectAmong(list, 'MRENCLAVE', claims.mrenclave, sgx.mrenclave, measured);
  expectAmong(list, 'MRSIGNER', claims.mrsigner, sgx.mrsigner, measured);
  if (sgx.isvProdId === undefined) list.skip('ISVPRODID', 'any');
  else list.expect('ISVPRODID', claims.isvProdId === sgx.isvProdId, measured);
  if (sgx.minIsvSvn === undefined) list.skip('ISVSVN', 'any');
  else list.expect('ISVSVN', claims.isvSvn >= sgx.minIsvSvn, measured);
  expectAmong(list, 'CONFIGID', claims.configId, sgx.configId, measured);
}

function appraiseTdx(list: CheckList, claims: TdxClaims, tdx: TdxPolicy): void {
  appraiseTdAttributes(list, claims, tdx);
  const services = tdx.mrservicetd ?? [NO_SERVICE_TD];
  const served = services.includes(claims.mrservicetd ?? NO_SERVICE_TD);
  list.expect('MRSERVICETD', served, 'policy.mrservicetd');
  const measured = 'policy.measurement';
  expectAmong(list, 'MRTD', claims.mrtd, tdx.mrtd, measured);
  claims.rtmrs.forEach((rtmr, i) => {
    expectAmong(list, `RTMR${i}`, rtmr, tdx.rtmrs?.[i], measured);
  });
  expectAmong(list, 'MRSEAM', claims.mrseam, tdx.mrseam, measured);
  expectAmong(list, 'MRCONFIGID', claims.mrconfigid, tdx.mrconfigid, measured);
  expectAmong(list, 'MROWNER', claims.mrowner, tdx.mrowner, measured);
  expectAmong(list, 'MROWNERCONFIG', claims.mrownerconfig, tdx.mrownerconfig, measured);
}

function appraiseReportData(list: CheckList, found: string, { reportData }: AppraisalPolicy): void {
  if (reportData === undefined) {
    list.skip('REPORTDATA', 'none expected: nothing says whose claims these are');
    return;
  }
  // More than 64 bytes are no report data: they equal nothing, and are refused.
  const padding = new Uint8Array(Math.max(0, 64 - reportData.length));
  const matches = equalBytes(decodeHex(found), concatBytes(reportData, padding));
  list.expect('REPORTDATA', matches && reportData.length > 0, 'policy.report_data');
}
