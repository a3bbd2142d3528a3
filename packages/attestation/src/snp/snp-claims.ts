import { encodeHex, isZero } from '@cloister/bytes';
import type { SnpClaims, SnpTcb, SnpVekClaims } from '../claims.ts';
import type { SnpReport } from './report.ts';
import type { SnpProduct } from './tcb.ts';
import type { Vek } from './vek.ts';

/** The four TCBs of a report, by the layout of its processor. */
export interface SnpTcbs {
  readonly currentTcb: SnpTcb;
  readonly reportedTcb: SnpTcb;
  readonly committedTcb: SnpTcb;
  readonly launchTcb: SnpTcb;
}

/** The claims of a report that was verified, in the names of the vectors. */
export function snpClaimsOf(
  report: SnpReport,
  tcbs: SnpTcbs,
  product: SnpProduct,
  vek: Vek,
  simulated: boolean,
): SnpClaims {
  const { policy, launchMitVector, currentMitVector } = report;
  return {
    tee: 'snp',
    simulated,
    product,
    signingKey: vek.kind,
    guestSvn: report.guestSvn,
    policy: hexOf(policy),
    debug: hasBit(policy, 19n),
    migrateMA: hasBit(policy, 18n),
    familyId: encodeHex(report.familyId),
    imageId: encodeHex(report.imageId),
    vmpl: report.vmpl,
    platformInfo: hexOf(report.platformInfo),
    reportData: encodeHex(report.reportData),
    measurement: encodeHex(report.measurement),
    hostData: encodeHex(report.hostData),
    idKeyDigest: encodeHex(report.idKeyDigest),
    authorKeyDigest: encodeHex(report.authorKeyDigest),
    authorKeyEnabled: report.authorKeyEnabled,
    maskChipKey: report.maskChipKey,
    reportId: encodeHex(report.reportId),
    reportIdMa: encodeHex(report.reportIdMa),
    chipId: encodeHex(report.chipId),
    chipIdMasked: isZero(report.chipId),
    cpuid: report.cpuid,
    ...tcbs,
    currentVersion: report.currentVersion,
    committedVersion: report.committedVersion,
    ...(launchMitVector === undefined ? {} : { launchMitVector: encodeHex(launchMitVector) }),
    ...(currentMitVector === undefined ? {} : { currentMitVector: encodeHex(currentMitVector) }),
    vek: vekClaimsOf(vek),
  };
}

function vekClaimsOf({ certificate, extensions }: Vek): SnpVekClaims {
  const { structVersion, productName, tcb, hwId, cspId } = extensions;
  return {
    serial: `0x${certificate.serial.replace(/^0+(?=.)/, '')}`,
    structVersion,
    productName,
    blSPL: tcb.bootloader,
    teeSPL: tcb.tee,
    snpSPL: tcb.snp,
    ucodeSPL: tcb.microcode,
    ...(tcb.fmc === undefined ? {} : { fmcSPL: tcb.fmc }),
    ...(hwId === undefined ? {} : { hwId: encodeHex(hwId) }),
    ...(cspId === undefined ? {} : { cspId }),
  };
}

function hasBit(value: bigint, bit: bigint): boolean {
  return ((value >> bit) & 1n) === 1n;
}

function hexOf(value: bigint): string {
  return `0x${value.toString(16)}`;
}
