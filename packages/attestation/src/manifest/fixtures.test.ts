/** Claims of each kind, and identities that they meet: tests spoil one thing. Not a test of its own. */
import assert from 'node:assert/strict';
import type { JsonObject } from '@cloister/bytes';
import type { HclClaims } from '../azure-hcl/verify-hcl-report.ts';
import type { SgxClaims, SnpClaims, TdxClaims } from '../claims.ts';
import { admit } from './admit.ts';
import { CODE_PCRS } from './code-pcrs.ts';
import type { Manifest } from './manifest.ts';
import { parseManifest } from './parse-manifest.ts';

export const hex = (byte: string, length: number): string => byte.repeat(length);
const pad = (i: number) => i.toString(16).padStart(2, '0');
const INTEL = {
  simulated: false,
  fmspc: hex('01', 6),
  pceId: '0000',
  pceSvn: 11,
  pckCpuSvn: hex('05', 16),
  ppid: hex('02', 16),
  pckSerial: '0x1',
  pckCa: 'Intel SGX PCK Platform CA',
  tcbStatus: 'UpToDate' as const,
  advisoryIds: [],
  tcbDate: '2026-05-14T00:00:00Z',
  tcbEvaluationDataNumber: 20,
  collateralExpired: false,
  trailingBytes: 0,
};
export const SGX: SgxClaims = {
  ...INTEL,
  tee: 'sgx',
  mrenclave: hex('a1', 32),
  mrsigner: hex('a2', 32),
  isvProdId: 101,
  isvSvn: 3,
  attributes: '0500000000000000e700000000000000',
  miscSelect: '00000000',
  cpuSvn: hex('05', 16),
  debug: false,
  reportData: hex('00', 64),
  isvExtProdId: hex('00', 16),
  configId: hex('00', 64),
  configSvn: 0,
  isvFamilyId: hex('00', 16),
};
export const TDX: TdxClaims = {
  ...INTEL,
  tee: 'tdx',
  mrtd: hex('b1', 48),
  rtmrs: [hex('b2', 48), hex('b3', 48), hex('b4', 48), hex('b5', 48)],
  mrseam: hex('b6', 48),
  mrsignerseam: hex('00', 48),
  seamAttributes: hex('00', 8),
  tdAttributes: '0000001000000000',
  xfam: 'e700060000000000',
  mrconfigid: hex('b7', 48),
  mrowner: hex('00', 48),
  mrownerconfig: hex('00', 48),
  teeTcbSvn: hex('00', 16),
  debug: false,
  septVeDisable: true,
  reportData: hex('00', 64),
  launchTcbStatus: 'UpToDate',
};
export const TCB = { bootloader: 4, tee: 0, snp: 22, microcode: 213 };
export const SNP: SnpClaims = {
  tee: 'snp',
  simulated: false,
  product: 'Genoa',
  signingKey: 'vcek',
  guestSvn: 0,
  policy: '0x30000',
  debug: false,
  migrateMA: false,
  familyId: hex('00', 16),
  imageId: hex('00', 16),
  vmpl: 0,
  platformInfo: '0x1',
  reportData: hex('00', 64),
  measurement: hex('c1', 48),
  hostData: hex('c2', 32),
  idKeyDigest: hex('c3', 48),
  authorKeyDigest: hex('00', 48),
  authorKeyEnabled: false,
  maskChipKey: false,
  reportId: hex('00', 32),
  reportIdMa: hex('ff', 32),
  chipId: hex('c4', 64),
  chipIdMasked: false,
  cpuid: null,
  currentTcb: TCB,
  reportedTcb: TCB,
  committedTcb: TCB,
  launchTcb: TCB,
  currentVersion: [1, 55, 0],
  committedVersion: [1, 55, 0],
};
/** As Azure makes them: the paravisor is what the processor measured. */
export const CVM: HclClaims = {
  tee: 'azure-cvm',
  simulated: false,
  debug: false,
  hardware: SNP,
  runtime: {
    kids: ['HCLAkPub', 'HCLEkPub'],
    vmConfiguration: { 'secure-boot': true, 'tpm-enabled': true },
    document: {},
  },
  pcrs: Object.fromEntries(Array.from({ length: 24 }, (_, i) => [`${i}`, hex('d1', 31) + pad(i)])),
  qualifyingData: hex('00', 32),
};
export const TDX_CVM: HclClaims = { ...CVM, hardware: TDX };
const SNP_IDENTITY = {
  tee: 'snp',
  measurement: [SNP.measurement],
  hostData: [SNP.hostData],
  idKeyDigest: [SNP.idKeyDigest],
  minTcb: TCB,
};
const TDX_IDENTITY = {
  tee: 'tdx',
  mrtd: [TDX.mrtd],
  rtmr: [[...TDX.rtmrs].toReversed(), [...TDX.rtmrs]],
  mrConfigId: [TDX.mrconfigid],
};
const pcrs = Object.fromEntries(CODE_PCRS.map((index) => [index, CVM.pcrs[index] ?? '']));
/** For each kind of claims, an identity that they meet. */
export const IDENTITIES = {
  sgx: { tee: 'sgx', mrenclave: [SGX.mrenclave], isvProdId: 101, minIsvSvn: 3 },
  tdx: TDX_IDENTITY,
  snp: SNP_IDENTITY,
  cvm: { tee: 'azure-cvm', paravisor: SNP_IDENTITY, pcrs, isolation: 'pod' },
  tdxCvm: { tee: 'azure-cvm', paravisor: TDX_IDENTITY, pcrs, isolation: 'vm' },
} satisfies Record<string, JsonObject>;

/** A manifest of production with these identities of `records`. */
export function manifestOf(anyOf: readonly JsonObject[], evidence: JsonObject = {}): Manifest {
  const key = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) };
  return parseManifest(
    JSON.stringify({
      apiVersion: 'cloister.dev/v1',
      deployment: 'lamna',
      profile: 'production',
      serial: 1,
      lease: 900,
      parties: { hospital: { keys: [key] } },
      quorum: { update: { of: ['hospital'], min: 1 } },
      evidence: { roots: 'hardware', platforms: 'any', ...evidence },
      issuers: [],
      services: { records: { identity: { anyOf } } },
    }),
  );
}

export type Claims = SgxClaims | TdxClaims | SnpClaims | HclClaims;

/** The identity above that these claims are of. */
export function identityOf(claims: Claims): JsonObject {
  if (claims.tee !== 'azure-cvm') return IDENTITIES[claims.tee];
  return claims.hardware.tee === 'tdx' ? IDENTITIES.tdxCvm : IDENTITIES.cvm;
}

/** Asserts that only this check failed, under an identity that is met otherwise. */
export function assertOnly(
  claims: Claims,
  check: string,
  code: string,
  evidence?: JsonObject,
  identity: JsonObject = identityOf(claims),
): void {
  const result = admit(manifestOf([identity], evidence), 'records', claims);
  const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
  assert.deepEqual(
    failed.map((one) => [one.check, one.code]),
    [[check, code]],
  );
  assert.equal(result.ok, false);
  assert.equal(result.code, code);
}
