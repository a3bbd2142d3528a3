import type { HclClaims } from '../azure-hcl/verify-hcl-report.ts';
import { CheckList } from '../check-list.ts';
import type { SgxClaims, SnpClaims, SnpTcb, TcbStatus, TdxClaims } from '../claims.ts';
import { reachesTcb } from '../snp/tcb.ts';
import type {
  SgxTokenClaims,
  SnpTokenClaims,
  TdxTokenClaims,
  TokenEvidenceClaims,
} from '../token/claims-of-token.ts';
import type {
  AzureCvmIdentity,
  Identity,
  SgxIdentity,
  SnpIdentity,
  TdxIdentity,
} from './manifest.ts';

/** What can be compared with an identity: claims of evidence, or of a token. */
export type IdentityClaims = SgxClaims | SnpClaims | TdxClaims | HclClaims | TokenEvidenceClaims;

/** Statuses that an identity accepts which names none. */
const DEFAULT_TCB: readonly TcbStatus[] = ['UpToDate', 'SWHardeningNeeded'];

/** Lists every predicate of one identity, whether or not an earlier one failed. */
export function checkIdentity(list: CheckList, identity: Identity, claims: IdentityClaims): void {
  if (identity.tee === 'azure-cvm' && isTokenOf(claims, identity)) {
    // It speaks of the paravisor and of the vTPM's keys, and knows nothing of what the guest booted.
    list.expect('code: PCRs', false, 'token_without_pcrs', 'not in a token');
    return;
  }
  const same = list.expect('code: kind of TEE', identity.tee === claims.tee, 'tee_not_agreed');
  if (!same) return;
  if (identity.tee === 'sgx' && claims.tee === 'sgx') checkSgx(list, identity, claims);
  else if (identity.tee === 'snp' && claims.tee === 'snp') checkSnp(list, identity, claims);
  else if (identity.tee === 'tdx' && claims.tee === 'tdx') checkTdx(list, identity, claims);
  else if (identity.tee === 'azure-cvm' && claims.tee === 'azure-cvm')
    checkAzureCvm(list, identity, claims);
  else list.expect('code: kind of TEE', false, 'tee_not_agreed');
}

/** Whether these are a token's claims about the processor under such a guest. */
function isTokenOf(claims: IdentityClaims, { paravisor }: AzureCvmIdentity): boolean {
  return 'type' in claims && claims.tee === paravisor.tee;
}

function checkSgx(list: CheckList, identity: SgxIdentity, claims: SgxClaims | SgxTokenClaims) {
  checkOneOf(list, 'code: MRENCLAVE', identity.mrenclave, claims.mrenclave);
  checkIfNamed(list, 'code: MRSIGNER', identity.mrsigner, claims.mrsigner);
  // A token leaves CONFIGID and CONFIGSVN out for enclaves without KSS, where they are zero.
  const { configId = '', configSvn = 0 } = claims;
  checkOrZero(list, 'code: CONFIGID', identity.configId, configId);
  const sameSvn = configSvn === (identity.configSvn ?? 0);
  list.expect('code: CONFIGSVN', sameSvn, 'measurement_not_agreed');
  list.expect('code: ISVPRODID', claims.isvProdId === identity.isvProdId, 'product_not_agreed');
  list.expect('code: ISVSVN', claims.isvSvn >= identity.minIsvSvn, 'svn_too_low');
  checkTcb(list, identity, claims);
}

function checkTdx(list: CheckList, identity: TdxIdentity, claims: TdxClaims | TdxTokenClaims) {
  checkOneOf(list, 'code: MRTD', identity.mrtd, claims.mrtd);
  const registers = identity.rtmr.some((set) =>
    set.every((value, index) => value === claims.rtmrs[index]),
  );
  list.expect('code: RTMRs', registers, 'measurement_not_agreed');
  checkOneOf(list, 'code: MRCONFIGID', identity.mrConfigId, claims.mrconfigid);
  checkOrZero(list, 'code: MROWNER', identity.mrOwner, claims.mrowner);
  checkOrZero(list, 'code: MROWNERCONFIG', identity.mrOwnerConfig, claims.mrownerconfig);
  checkTcb(list, identity, claims);
}

function checkSnp(list: CheckList, identity: SnpIdentity, claims: SnpClaims | SnpTokenClaims) {
  checkOneOf(list, 'code: launch measurement', identity.measurement, claims.measurement);
  checkOneOf(list, 'code: HOST_DATA', identity.hostData, claims.hostData);
  checkIfNamed(list, 'code: ID_KEY_DIGEST', identity.idKeyDigest, claims.idKeyDigest);
  const { product, minTcb } = identity;
  checkSnpTcb(list, 'hardware: TCB version', claims.reportedTcb, minTcb);
  if ('type' in claims) {
    list.skip('hardware: TCB at launch', "the issuer's policy answers for it");
    return;
  }
  if (product === undefined) list.skip('hardware: product line', 'the manifest names none');
  else list.expect('hardware: product line', claims.product === product, 'policy.platform');
  // A guest that broken firmware launched stays what it was when firmware is renewed under it, and
  // firmware can go back as far as it is committed.
  checkSnpTcb(list, 'hardware: TCB at launch', claims.launchTcb, minTcb);
  checkSnpTcb(list, 'hardware: TCB committed', claims.committedTcb, minTcb);
}

/** The paravisor as the processor measured it, then what the guest's vTPM says. */
function checkAzureCvm(list: CheckList, identity: AzureCvmIdentity, claims: HclClaims) {
  const under = new CheckList();
  checkIdentity(under, identity.paravisor, claims.hardware);
  list.include(
    under.checks.map(({ check, ...rest }) => ({
      check: check.replace(/^code: /u, 'code: paravisor: '),
      ...rest,
    })),
  );
  for (const [index, value] of Object.entries(identity.pcrs))
    list.expect(`code: PCR ${index}`, claims.pcrs[index] === value, 'measurement_not_agreed');
  list.skip('code: isolation', `${identity.isolation}: the image says so, not the evidence`);
}

function checkTcb(
  list: CheckList,
  identity: SgxIdentity | TdxIdentity,
  claims: SgxClaims | TdxClaims | SgxTokenClaims | TdxTokenClaims,
): void {
  const status = 'tcbStatus' in claims ? claims.tcbStatus : undefined;
  if (status === undefined) list.skip('hardware: TCB status', "the issuer's policy answers for it");
  else {
    const accepted = (identity.tcb ?? DEFAULT_TCB).includes(status);
    list.expect('hardware: TCB status', accepted, 'policy.tcb', status);
  }
  const { advisories } = identity;
  if (!('advisoryIds' in claims))
    list.skip('hardware: advisories', "the issuer's policy answers for them");
  else if (advisories === undefined) list.skip('hardware: advisories', 'any');
  else {
    const open = claims.advisoryIds.filter((id) => !advisories.includes(id));
    list.expect('hardware: advisories', open.length === 0, 'policy.advisory', open.join(' '));
  }
}

function checkSnpTcb(list: CheckList, check: string, tcb: SnpTcb, min: SnpIdentity['minTcb']) {
  list.expect(check, reachesTcb(tcb, min), 'policy.tcb');
}

function checkOneOf(list: CheckList, check: string, agreed: readonly string[], value: string) {
  list.expect(check, agreed.includes(value), 'measurement_not_agreed');
}

/** What the host chooses and hardware only repeats: unnamed, it must be zero. */
function checkOrZero(
  list: CheckList,
  check: string,
  agreed: readonly string[] | undefined,
  value: string,
): void {
  const met = agreed === undefined ? /^0*$/u.test(value) : agreed.includes(value);
  list.expect(check, met, 'measurement_not_agreed');
}

/** Unnamed, a narrowing predicate does not apply. */
function checkIfNamed(
  list: CheckList,
  check: string,
  agreed: readonly string[] | undefined,
  value: string,
): void {
  if (agreed === undefined) list.skip(check, 'the manifest names none');
  else checkOneOf(list, check, agreed, value);
}
