import type { CheckList } from '../check-list.ts';
import type { SgxClaims, SnpClaims, SnpTcb, TcbStatus, TdxClaims } from '../claims.ts';
import type { SgxTokenClaims, SnpTokenClaims, TdxTokenClaims } from '../token/claims-of-token.ts';
import type {
  AzureCvmIdentity,
  Identity,
  SgxIdentity,
  SnpIdentity,
  TdxIdentity,
} from './manifest.ts';

/** What a verified guest of an Azure confidential VM says by its vTPM (spec/evidence.md 10). */
export interface AzureCvmClaims {
  readonly tee: 'azure-cvm';
  readonly simulated: boolean;
  readonly debug: boolean;
  /** SHA-256 PCRs of the TPM quote, by number. */
  readonly pcrs: Readonly<Record<string, string>>;
  readonly isolation: AzureCvmIdentity['isolation'];
}

/** What can be compared with an identity: claims of evidence, or of a token. */
export type IdentityClaims =
  | SgxClaims
  | SnpClaims
  | TdxClaims
  | AzureCvmClaims
  | SgxTokenClaims
  | SnpTokenClaims
  | TdxTokenClaims;

/** Statuses that an identity accepts which names none. */
const DEFAULT_TCB: readonly TcbStatus[] = ['UpToDate', 'SWHardeningNeeded'];

/** Lists every predicate of one identity, whether or not an earlier one failed. */
export function checkIdentity(list: CheckList, identity: Identity, claims: IdentityClaims): void {
  const same = list.expect('code: kind of TEE', identity.tee === claims.tee, 'tee_not_agreed');
  if (!same) return;
  if (identity.tee === 'sgx' && claims.tee === 'sgx') checkSgx(list, identity, claims);
  else if (identity.tee === 'snp' && claims.tee === 'snp') checkSnp(list, identity, claims);
  else if (identity.tee === 'tdx' && claims.tee === 'tdx') checkTdx(list, identity, claims);
  else if (identity.tee === 'azure-cvm' && claims.tee === 'azure-cvm')
    checkAzureCvm(list, identity, claims);
  else list.expect('code: kind of TEE', false, 'tee_not_agreed');
}

function checkSgx(list: CheckList, identity: SgxIdentity, claims: SgxClaims | SgxTokenClaims) {
  checkOneOf(list, 'code: MRENCLAVE', identity.mrenclave, claims.mrenclave);
  checkIfNamed(list, 'code: MRSIGNER', identity.mrsigner, claims.mrsigner);
  // A token leaves CONFIGID out for enclaves without KSS, where it is zero.
  const configId = claims.configId ?? '';
  const agreed =
    identity.configId === undefined ? /^0*$/u.test(configId) : identity.configId.includes(configId);
  list.expect('code: CONFIGID', agreed, 'measurement_not_agreed');
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
  checkTcb(list, identity, claims);
}

function checkSnp(list: CheckList, identity: SnpIdentity, claims: SnpClaims | SnpTokenClaims) {
  checkOneOf(list, 'code: launch measurement', identity.measurement, claims.measurement);
  checkOneOf(list, 'code: HOST_DATA', identity.hostData, claims.hostData);
  checkIfNamed(list, 'code: ID_KEY_DIGEST', identity.idKeyDigest, claims.idKeyDigest);
  const reached = reaches(claims.reportedTcb, identity.minTcb);
  list.expect('hardware: TCB version', reached, 'policy.tcb');
}

function checkAzureCvm(list: CheckList, identity: AzureCvmIdentity, claims: AzureCvmClaims) {
  for (const [index, value] of Object.entries(identity.pcrs))
    list.expect(`code: PCR ${index}`, claims.pcrs[index] === value, 'measurement_not_agreed');
  const isolated = claims.isolation === identity.isolation;
  list.expect('code: isolation', isolated, 'isolation_not_agreed');
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

function checkOneOf(list: CheckList, check: string, agreed: readonly string[], value: string) {
  list.expect(check, agreed.includes(value), 'measurement_not_agreed');
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

function reaches(tcb: SnpTcb, min: SnpIdentity['minTcb']): boolean {
  return (
    (min.fmc === undefined || (tcb.fmc ?? -1) >= min.fmc) &&
    tcb.bootloader >= min.bootloader &&
    tcb.tee >= min.tee &&
    tcb.snp >= min.snp &&
    tcb.microcode >= min.microcode
  );
}
