import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import type { SgxClaims, SnpClaims, TdxClaims } from '../claims.ts';
import { claimsOfToken } from '../token/claims-of-token.ts';
import { admit, admitToken } from './admit.ts';
import type { AzureCvmClaims } from './identity-checks.ts';
import { parseManifest } from './parse-manifest.ts';

const hex = (byte: string, length: number) => byte.repeat(length);
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
const SGX: SgxClaims = {
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
const TDX: TdxClaims = {
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
const TCB = { bootloader: 4, tee: 0, snp: 22, microcode: 213 };
const SNP: SnpClaims = {
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
const CVM: AzureCvmClaims = {
  tee: 'azure-cvm',
  simulated: false,
  debug: false,
  pcrs: { '4': hex('d1', 32), '11': hex('d2', 32), '12': hex('d3', 32) },
  isolation: 'pod',
};
const IDENTITIES = {
  sgx: { tee: 'sgx', mrenclave: [SGX.mrenclave], isvProdId: 101, minIsvSvn: 3 },
  tdx: {
    tee: 'tdx',
    mrtd: [TDX.mrtd],
    rtmr: [[...TDX.rtmrs].toReversed(), [...TDX.rtmrs]],
    mrConfigId: [TDX.mrconfigid],
  },
  snp: {
    tee: 'snp',
    measurement: [SNP.measurement],
    hostData: [SNP.hostData],
    idKeyDigest: [SNP.idKeyDigest],
    minTcb: TCB,
  },
  cvm: { tee: 'azure-cvm', pcrs: { '4': hex('d1', 32), '11': hex('d2', 32) }, isolation: 'pod' },
} satisfies Record<string, JsonObject>;

function manifestOf(anyOf: readonly JsonObject[], evidence: JsonObject = {}) {
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

type Claims = SgxClaims | TdxClaims | SnpClaims | AzureCvmClaims;

/** Asserts that only this check failed. */
function assertOnly(claims: Claims, check: string, code: string, evidence?: JsonObject): void {
  const identity = { sgx: 'sgx', tdx: 'tdx', snp: 'snp', 'azure-cvm': 'cvm' } as const;
  const manifest = manifestOf([IDENTITIES[identity[claims.tee]]], evidence);
  const result = admit(manifest, 'records', claims);
  const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
  assert.deepEqual(
    failed.map((one) => [one.check, one.code]),
    [[check, code]],
  );
  assert.equal(result.ok, false);
  assert.equal(result.code, code);
}

describe('admit', () => {
  for (const [name, claims] of Object.entries({ sgx: SGX, tdx: TDX, snp: SNP, cvm: CVM })) {
    it(`admits ${name} that meets every predicate, and lists them`, () => {
      const identity = IDENTITIES[name as keyof typeof IDENTITIES];
      const result = admit(manifestOf([identity]), 'records', claims);
      assert.ok(result.ok, JSON.stringify(result.checks));
      assert.ok(result.checks.filter(({ check }) => check.startsWith('code: ')).length >= 3);
    });

    it(`admits ${name} by the last of four identities`, () => {
      const others = Object.entries(IDENTITIES).filter(([other]) => other !== name);
      const anyOf = [...others.map(([, identity]) => identity), IDENTITIES[name as 'sgx']];
      const result = admit(manifestOf(anyOf), 'records', claims);
      assert.ok(result.ok);
      assert.ok(result.checks.every(({ outcome }) => outcome !== 'failed'));
    });
  }

  it('says which identity came nearest where none is met', () => {
    const far = { ...IDENTITIES.sgx, mrenclave: [hex('00', 32)], isvProdId: 1 };
    const near = { ...IDENTITIES.sgx, minIsvSvn: 4 };
    const result = admit(manifestOf([far, near]), 'records', SGX);
    assert.equal(result.code, 'svn_too_low');
  });

  it('finds what a default policy refuses', () => {
    const result = admit(manifestOf([IDENTITIES.sgx]), 'records', { ...SGX, debug: true });
    assert.deepEqual(result.findings, ['debug']);
  });
});

describe('admit refuses, by one check alone,', () => {
  it('another kind of TEE', () => {
    const pairs = [
      [SGX, IDENTITIES.tdx],
      [SNP, IDENTITIES.cvm],
      [CVM, IDENTITIES.snp],
    ] as const;
    for (const [claims, identity] of pairs)
      assert.equal(admit(manifestOf([identity]), 'records', claims).code, 'tee_not_agreed');
  });

  it('simulated evidence under hardware', () => {
    assertOnly({ ...SGX, simulated: true }, 'hardware: sort of evidence', 'policy.simulated');
    assertOnly({ ...CVM, simulated: true }, 'hardware: sort of evidence', 'policy.simulated');
  });

  it('hardware under simulated roots', () => {
    const draft = manifestOf([IDENTITIES.sgx]);
    const evidence = { ...draft.evidence, roots: { simulated: [hex('00', 32)] } };
    const result = admit({ ...draft, profile: 'dev', evidence }, 'records', SGX);
    assert.equal(result.code, 'policy.simulated');
  });

  it('debugging', () => {
    for (const claims of [SGX, SNP, CVM])
      assertOnly({ ...claims, debug: true }, 'hardware: not debuggable', 'policy.debug');
  });

  it('an enclave that was not initialised', () => {
    const attributes = SGX.attributes.replace('05', '04');
    assertOnly({ ...SGX, attributes }, 'hardware: enclave is initialised', 'policy.attributes');
  });

  it('a configuration that the manifest does not name', () => {
    const configId = hex('01', 64);
    assertOnly({ ...SGX, configId }, 'code: CONFIGID', 'measurement_not_agreed');
    const named = manifestOf([{ ...IDENTITIES.sgx, configId: [configId] }]);
    assert.ok(admit(named, 'records', { ...SGX, configId }).ok);
    assert.equal(admit(named, 'records', SGX).code, 'measurement_not_agreed');
  });

  it('a TCB status that no identity names', () => {
    assertOnly({ ...SGX, tcbStatus: 'OutOfDate' }, 'hardware: TCB status', 'policy.tcb');
    assertOnly({ ...TDX, tcbStatus: 'TDRelaunchAdvised' }, 'hardware: TCB status', 'policy.tcb');
    const hardening = { ...SGX, tcbStatus: 'SWHardeningNeeded' as const };
    assert.ok(admit(manifestOf([IDENTITIES.sgx]), 'records', hardening).ok);
    const outOfDate = manifestOf([{ ...IDENTITIES.sgx, tcb: ['OutOfDate'] }]);
    assert.ok(admit(outOfDate, 'records', { ...SGX, tcbStatus: 'OutOfDate' }).ok);
  });

  it('collateral that had expired, or is too old', () => {
    assertOnly(
      { ...SGX, collateralExpired: true },
      'hardware: collateral in date',
      'policy.collateral_expired',
    );
    const check = 'hardware: TCB evaluation data number';
    const evidence = { minTcbEvaluationDataNumber: 21 };
    assertOnly(TDX, check, 'policy.evaluation_number', evidence);
  });

  it('a machine that is not among those named', () => {
    const evidence = { platforms: [hex('ee', 16)] };
    for (const claims of [SGX, SNP, CVM])
      assertOnly(claims, 'hardware: platform', 'policy.platform', evidence);
    const own = manifestOf([IDENTITIES.sgx, IDENTITIES.snp], { platforms: [SGX.ppid, SNP.chipId] });
    assert.ok(admit(own, 'records', SGX).ok);
    assert.ok(admit(own, 'records', SNP).ok);
    assert.equal(admit(own, 'records', { ...SNP, chipIdMasked: true }).code, 'policy.platform');
  });

  it('a trust domain that measures otherwise', () => {
    const other = hex('00', 48);
    const [a, b, c] = TDX.rtmrs;
    assertOnly({ ...TDX, mrtd: other }, 'code: MRTD', 'measurement_not_agreed');
    assertOnly({ ...TDX, rtmrs: [a, b, c, other] }, 'code: RTMRs', 'measurement_not_agreed');
    assertOnly({ ...TDX, mrconfigid: other }, 'code: MRCONFIGID', 'measurement_not_agreed');
  });

  it('registers mixed from two configurations', () => {
    const [a, b, c, d] = TDX.rtmrs;
    assertOnly({ ...TDX, rtmrs: [a, b, b, a] }, 'code: RTMRs', 'measurement_not_agreed');
    const reversed: TdxClaims = { ...TDX, rtmrs: [d, c, b, a] };
    assert.ok(admit(manifestOf([IDENTITIES.tdx]), 'records', reversed).ok);
  });

  it('a trust domain whose host can inject or migrate', () => {
    assertOnly({ ...TDX, septVeDisable: false }, 'hardware: SEPT_VE_DISABLE', 'policy.sept_ve');
    const mrservicetd = hex('01', 48);
    assertOnly({ ...TDX, mrservicetd }, 'hardware: MRSERVICETD', 'policy.mrservicetd');
  });

  it('a guest that measures otherwise', () => {
    const other = hex('00', 48);
    const code = 'measurement_not_agreed';
    assertOnly({ ...SNP, measurement: other }, 'code: launch measurement', code);
    assertOnly({ ...SNP, hostData: hex('00', 32) }, 'code: HOST_DATA', code);
    assertOnly({ ...SNP, idKeyDigest: other }, 'code: ID_KEY_DIGEST', code);
  });

  for (const part of ['bootloader', 'snp', 'microcode'] as const) {
    it(`a guest whose ${part} is older`, () => {
      const reportedTcb = { ...TCB, [part]: TCB[part] - 1 };
      assertOnly({ ...SNP, reportedTcb }, 'hardware: TCB version', 'policy.tcb');
    });
  }

  it('a guest that may be migrated, or is not at the lowest level', () => {
    assertOnly({ ...SNP, migrateMA: true }, 'hardware: not migratable', 'policy.migratable');
    assertOnly({ ...SNP, vmpl: 1 }, 'hardware: VMPL', 'policy.attributes');
  });

  it('a confidential VM whose PCRs or isolation differ', () => {
    const pcrs = { ...CVM.pcrs, '11': hex('00', 32) };
    assertOnly({ ...CVM, pcrs }, 'code: PCR 11', 'measurement_not_agreed');
    const { '4': _, ...missing } = CVM.pcrs;
    assertOnly({ ...CVM, pcrs: missing }, 'code: PCR 4', 'measurement_not_agreed');
    assertOnly({ ...CVM, isolation: 'vm' }, 'code: isolation', 'isolation_not_agreed');
  });

  it('a service that the manifest does not name', () => {
    for (const service of ['inference', 'toString', '__proto__'])
      assert.equal(admit(manifestOf([IDENTITIES.sgx]), service, SGX).code, 'service_unknown');
  });
});

function snpToken(changes: JsonObject = {}) {
  return claimsOfToken({
    'x-ms-attestation-type': 'sevsnpvm',
    'x-ms-sevsnpvm-is-debuggable': false,
    'x-ms-sevsnpvm-migration-allowed': false,
    'x-ms-sevsnpvm-reportdata': hex('00', 64),
    'x-ms-sevsnpvm-guestsvn': 0,
    'x-ms-sevsnpvm-vmpl': 0,
    'x-ms-sevsnpvm-launchmeasurement': SNP.measurement,
    'x-ms-sevsnpvm-hostdata': SNP.hostData,
    'x-ms-sevsnpvm-idkeydigest': SNP.idKeyDigest,
    'x-ms-sevsnpvm-authorkeydigest': hex('00', 48),
    'x-ms-sevsnpvm-reportid': hex('00', 32),
    'x-ms-sevsnpvm-bootloader-svn': 4,
    'x-ms-sevsnpvm-tee-svn': 0,
    'x-ms-sevsnpvm-snpfw-svn': 22,
    'x-ms-sevsnpvm-microcode-svn': 213,
    ...changes,
  });
}

const admitSnp = (changes?: JsonObject) =>
  admitToken(manifestOf([IDENTITIES.snp]), 'records', snpToken(changes));

describe('admitToken', () => {
  it('admits a guest by what its token says', () => {
    assert.ok(admitSnp().ok);
  });

  it('refuses by each of them', () => {
    const prefix = 'x-ms-sevsnpvm-';
    const code = (name: string, value: JsonObject[string]) =>
      admitSnp({ [`${prefix}${name}`]: value }).code;
    assert.equal(code('is-debuggable', true), 'policy.debug');
    assert.equal(code('migration-allowed', true), 'policy.migratable');
    assert.equal(code('launchmeasurement', hex('00', 48)), 'measurement_not_agreed');
    assert.equal(code('hostdata', hex('00', 32)), 'measurement_not_agreed');
    assert.equal(code('microcode-svn', 212), 'policy.tcb');
    assert.equal(code('vmpl', 1), 'policy.attributes');
  });

  it('judges a trust domain likewise', () => {
    const claims = {
      'x-ms-attestation-type': 'tdxvm',
      attester_tcb_status: 'UpToDate',
      tdx_td_attributes_debug: false,
      tdx_td_attributes_septve_disable: true,
      tdx_report_data: hex('00', 64),
      tdx_mrtd: TDX.mrtd,
      tdx_rtmr0: TDX.rtmrs[0],
      tdx_rtmr1: TDX.rtmrs[1],
      tdx_rtmr2: TDX.rtmrs[2],
      tdx_rtmr3: TDX.rtmrs[3],
      tdx_mrseam: TDX.mrseam,
      tdx_mrconfigid: TDX.mrconfigid,
    };
    const code = (changes: JsonObject = {}) => {
      const evidence = claimsOfToken({ ...claims, ...changes });
      return admitToken(manifestOf([IDENTITIES.tdx]), 'records', evidence).code;
    };
    assert.equal(code(), undefined);
    assert.equal(code({ attester_tcb_status: 'OutOfDate' }), 'policy.tcb');
    assert.equal(code({ tdx_td_attributes_septve_disable: false }), 'policy.sept_ve');
    assert.equal(code({ tdx_rtmr2: hex('00', 48) }), 'measurement_not_agreed');
  });
});
