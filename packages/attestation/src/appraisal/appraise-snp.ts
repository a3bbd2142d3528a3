import { decodeHex } from '@cloister/bytes';
import type { CheckList } from '../check-list.ts';
import type { SnpClaims } from '../claims.ts';
import { reachesTcb } from '../snp/tcb.ts';
import type { BitPolicy, SnpPolicy } from './appraisal-policy.ts';
import { expectAmong } from './expect-among.ts';

/** The rules for SEV-SNP guests (spec/evidence.md 9.4 and 9.6.8). */
export function appraiseSnp(list: CheckList, claims: SnpClaims, snp: SnpPolicy): void {
  const fixed = !claims.migrateMA || snp.allowMigration === true;
  list.expect('not migratable', fixed, 'policy.migratable');
  list.expect('VMPL', (snp.vmpls ?? [0]).includes(claims.vmpl), 'policy.attributes');
  appraiseGuest(list, claims, snp);
  appraisePlatform(list, claims, snp);
}

/** What the guest is. */
function appraiseGuest(list: CheckList, claims: SnpClaims, snp: SnpPolicy): void {
  const measured = 'policy.measurement';
  expectAmong(list, 'MEASUREMENT', claims.measurement, snp.measurement, measured);
  expectAmong(list, 'HOST_DATA', claims.hostData, snp.hostData, measured);
  expectAmong(list, 'ID_KEY_DIGEST', claims.idKeyDigest, snp.idKeyDigest, measured);
  // Without AUTHOR_KEY_EN nothing was checked against the digest.
  const author = claims.authorKeyEnabled ? claims.authorKeyDigest : '';
  expectAmong(list, 'AUTHOR_KEY_DIGEST', author, snp.authorKeyDigest, measured);
  expectAmong(list, 'FAMILY_ID', claims.familyId, snp.familyId, measured);
  expectAmong(list, 'IMAGE_ID', claims.imageId, snp.imageId, measured);
  if (snp.minGuestSvn === undefined) list.skip('GUEST_SVN', 'any');
  else list.expect('GUEST_SVN', claims.guestSvn >= snp.minGuestSvn, measured);
  expectBits(list, 'POLICY', BigInt(claims.policy), snp.guestPolicy, 'policy.attributes');
}

/** On what it runs. */
function appraisePlatform(list: CheckList, claims: SnpClaims, snp: SnpPolicy): void {
  if (snp.tcb === undefined) list.skip('TCB', 'any');
  else {
    const least = snp.tcb[claims.product];
    const reached =
      least !== undefined &&
      reachesTcb(claims.reportedTcb, least.reported ?? {}) &&
      reachesTcb(claims.committedTcb, least.committed ?? {}) &&
      reachesTcb(claims.launchTcb, least.launch ?? {});
    list.expect('TCB', reached, 'policy.tcb', claims.product);
  }
  if (snp.minVersion === undefined) list.skip('firmware version', 'any');
  else {
    const reached = isAtLeast(claims.currentVersion, snp.minVersion);
    list.expect('firmware version', reached, 'policy.tcb');
  }
  const chip = claims.chipIdMasked ? '' : claims.chipId;
  expectAmong(list, 'CHIP_ID', chip, snp.chipIds, 'policy.platform');
  expectAmong(list, 'provider', claims.vek?.cspId ?? '', snp.cspIds, 'policy.platform');
  const info = BigInt(claims.platformInfo);
  expectBits(list, 'PLATFORM_INFO', info, snp.platformInfo, 'policy.platform');
  const launched = vectorOf(claims.launchMitVector);
  const current = vectorOf(claims.currentMitVector);
  expectBits(list, 'LAUNCH_MIT_VECTOR', launched, snp.launchMitigations, 'policy.tcb');
  expectBits(list, 'CURRENT_MIT_VECTOR', current, snp.currentMitigations, 'policy.tcb');
}

function expectBits(
  list: CheckList,
  check: string,
  value: bigint | undefined,
  policy: BitPolicy | undefined,
  code: string,
): void {
  if (policy === undefined) {
    list.skip(check, 'any');
    return;
  }
  const { required = 0n, forbidden = 0n } = policy;
  const met = value !== undefined && (value & required) === required && (value & forbidden) === 0n;
  list.expect(check, met, code);
}

/** Eight bytes, little-endian. */
function vectorOf(hex: string | undefined): bigint | undefined {
  if (hex === undefined) return undefined;
  return decodeHex(hex).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function isAtLeast(version: readonly number[], least: readonly number[]): boolean {
  const at = least.findIndex((part, i) => version[i] !== part);
  return at < 0 || (version[at] ?? 0) > (least[at] ?? 0);
}
