import { decodeHex } from '@cloister/bytes';
import type { EvidenceClaims, SnpClaims, TcbStatus } from '../claims.ts';

/** The statuses that a policy accepts unless told otherwise (spec/evidence.md 7.3). */
export const DEFAULT_TCB_STATUSES: readonly TcbStatus[] = ['UpToDate', 'SWHardeningNeeded'];

/** What of an SGX body a default policy refuses or must look at. */
export function sgxFindings({ debug }: { readonly debug: boolean }): string[] {
  return debug ? ['debug'] : [];
}

/** What of a TD report a default policy refuses or must look at (spec/evidence.md 8). */
export function tdxFindings(td: {
  readonly debug: boolean;
  readonly septVeDisable: boolean;
  readonly tdAttributes: string;
  readonly mrservicetd?: string;
}): string[] {
  return [
    ...(td.debug ? ['debug'] : []),
    ...(td.septVeDisable ? [] : ['sept-ve-disable-off']),
    ...(/^0*$/.test(td.mrservicetd ?? '') ? [] : ['mrservicetd-nonzero']),
    ...(isMigratable(td.tdAttributes) ? ['td-migratable'] : []),
  ];
}

/** TDATTRIBUTES bit 29, MIGRATABLE. */
export function isMigratable(tdAttributes: string): boolean {
  return ((decodeHex(tdAttributes)[3] ?? 0) & 0x20) !== 0;
}

function snpFindings(claims: SnpClaims): string[] {
  return [
    ...(claims.debug ? ['debug'] : []),
    ...(claims.migrateMA ? ['migrate-ma'] : []),
    ...(claims.chipIdMasked ? ['chip-id-masked'] : []),
    ...(claims.vmpl === 0 ? [] : [`vmpl-${claims.vmpl}`]),
  ];
}

/** The facts of verified claims that a default policy refuses or must look at. */
export function findingsOf(claims: EvidenceClaims): string[] {
  if (claims.tee === 'snp') return snpFindings(claims);
  const body = claims.tee === 'sgx' ? sgxFindings(claims) : tdxFindings(claims);
  return DEFAULT_TCB_STATUSES.includes(claims.tcbStatus)
    ? body
    : [...body, `tcb-status:${claims.tcbStatus}`];
}
