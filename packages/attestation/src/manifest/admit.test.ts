import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import type { SnpClaims, TdxClaims } from '../claims.ts';
import { claimsOfToken } from '../token/claims-of-token.ts';
import { admit, admitToken } from './admit.ts';
import {
  assertOnly,
  CVM,
  hex,
  IDENTITIES,
  manifestOf,
  SGX,
  SNP,
  TCB,
  TDX,
  TDX_CVM,
} from './fixtures.test.ts';

describe('admit', () => {
  const all = { sgx: SGX, tdx: TDX, snp: SNP, cvm: CVM, tdxCvm: TDX_CVM };
  for (const [name, claims] of Object.entries(all)) {
    it(`admits ${name} that meets every predicate, and lists them`, () => {
      const identity = IDENTITIES[name as keyof typeof IDENTITIES];
      const result = admit(manifestOf([identity]), 'records', claims);
      assert.ok(result.ok, JSON.stringify(result.checks));
      assert.ok(result.checks.filter(({ check }) => check.startsWith('code: ')).length >= 3);
    });

    it(`admits ${name} by the last of five identities`, () => {
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
  });

  it('hardware under simulated roots', () => {
    const draft = manifestOf([IDENTITIES.sgx]);
    const evidence = { ...draft.evidence, roots: { simulated: [hex('00', 32)] } };
    const result = admit({ ...draft, profile: 'dev', evidence }, 'records', SGX);
    assert.equal(result.code, 'policy.simulated');
  });

  it('debugging', () => {
    for (const claims of [SGX, SNP])
      assertOnly({ ...claims, debug: true }, 'hardware: not debuggable', 'policy.debug');
  });

  it('an enclave that was not initialised', () => {
    const attributes = SGX.attributes.replace('05', '04');
    assertOnly({ ...SGX, attributes }, 'hardware: enclave is initialised', 'policy.attributes');
  });

  it('the same bytes in another mode, or with flags that nobody knows', () => {
    const with64 = SGX.attributes;
    const flags = (first: string) => ({ ...SGX, attributes: first + with64.slice(first.length) });
    const code = 'policy.attributes';
    assertOnly(flags('01'), 'hardware: enclave runs in 64-bit mode', code);
    for (const first of ['0d', '25', '0502', '0500000001'])
      assertOnly(flags(first), 'hardware: no unknown enclave attributes', code);
    for (const first of ['15', '45', '85', '0504'])
      assert.ok(admit(manifestOf([IDENTITIES.sgx]), 'records', flags(first)).ok, first);
    assertOnly({ ...SGX, miscSelect: '04000000' }, 'hardware: MISCSELECT', code);
    const exinfo = { ...SGX, miscSelect: '01000000' };
    assert.ok(admit(manifestOf([IDENTITIES.sgx]), 'records', exinfo).ok);
  });

  it('a configuration that the manifest does not name', () => {
    const configId = hex('01', 64);
    assertOnly({ ...SGX, configId }, 'code: CONFIGID', 'measurement_not_agreed');
    assertOnly({ ...SGX, configSvn: 1 }, 'code: CONFIGSVN', 'measurement_not_agreed');
    const named = manifestOf([{ ...IDENTITIES.sgx, configId: [configId], configSvn: 2 }]);
    assert.ok(admit(named, 'records', { ...SGX, configId, configSvn: 2 }).ok);
    for (const claims of [SGX, { ...SGX, configId }, { ...SGX, configSvn: 2 }])
      assert.equal(admit(named, 'records', claims).code, 'measurement_not_agreed');
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
    for (const claims of [SGX, SNP, CVM, TDX_CVM])
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

  it('a trust domain with an owner that the manifest does not name', () => {
    const other = hex('01', 48);
    const code = 'measurement_not_agreed';
    assertOnly({ ...TDX, mrowner: other }, 'code: MROWNER', code);
    assertOnly({ ...TDX, mrownerconfig: other }, 'code: MROWNERCONFIG', code);
    const owned = { ...TDX, mrowner: other, mrownerconfig: other };
    const identity = { ...IDENTITIES.tdx, mrOwner: [other], mrOwnerConfig: [other] };
    assert.ok(admit(manifestOf([identity]), 'records', owned).ok);
    assertOnly({ ...owned, mrowner: hex('00', 48) }, 'code: MROWNER', code, {}, identity);
  });

  it('a trust domain whose host can inject or migrate, or that is started in another way', () => {
    assertOnly({ ...TDX, septVeDisable: false }, 'hardware: SEPT_VE_DISABLE', 'policy.sept_ve');
    const migratable = { ...TDX, tdAttributes: '0000003000000000' };
    assertOnly(migratable, 'hardware: not migratable', 'policy.migratable');
    const keyLocker = { ...TDX, tdAttributes: '0000009000000000' };
    assertOnly(keyLocker, 'hardware: no unknown TD attributes', 'policy.attributes');
    assertOnly({ ...TDX, xfam: 'e700060001000000' }, 'hardware: XFAM', 'policy.xfam');
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

  it('a guest that older firmware launched, or may go back to', () => {
    const older = { ...TCB, snp: TCB.snp - 1 };
    assertOnly({ ...SNP, launchTcb: older }, 'hardware: TCB at launch', 'policy.tcb');
    assertOnly({ ...SNP, committedTcb: older }, 'hardware: TCB committed', 'policy.tcb');
  });

  it('a guest on another product line than its TCB is of', () => {
    const identity = { ...IDENTITIES.snp, product: 'Genoa' };
    assert.ok(admit(manifestOf([identity]), 'records', SNP).ok);
    const milan: SnpClaims = { ...SNP, product: 'Milan' };
    assertOnly(milan, 'hardware: product line', 'policy.platform', {}, identity);
    const turin = { ...IDENTITIES.snp, minTcb: { ...TCB, fmc: 1 } };
    assert.equal(admit(manifestOf([turin]), 'records', SNP).code, 'policy.tcb');
  });

  it('a guest whose memory may lie on CXL devices', () => {
    assertOnly({ ...SNP, policy: '0x230000' }, 'hardware: POLICY', 'policy.attributes');
  });

  it('a guest that may be migrated, or is not at the lowest level', () => {
    assertOnly({ ...SNP, migrateMA: true }, 'hardware: not migratable', 'policy.migratable');
    assertOnly({ ...SNP, vmpl: 1 }, 'hardware: VMPL', 'policy.attributes');
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

  it('judges an enclave likewise', () => {
    const claims = {
      'x-ms-attestation-type': 'sgx',
      'x-ms-sgx-is-debuggable': false,
      'x-ms-sgx-mrenclave': SGX.mrenclave,
      'x-ms-sgx-mrsigner': SGX.mrsigner,
      'x-ms-sgx-product-id': 101,
      'x-ms-sgx-svn': 3,
      'x-ms-sgx-report-data': hex('00', 64),
    };
    const code = (changes: JsonObject = {}) => {
      const evidence = claimsOfToken({ ...claims, ...changes });
      return admitToken(manifestOf([IDENTITIES.sgx]), 'records', evidence).code;
    };
    assert.equal(code(), undefined);
    assert.equal(code({ 'x-ms-sgx-config-id': hex('00', 64) }), undefined);
    assert.equal(code({ 'x-ms-sgx-config-id': hex('01', 64) }), 'measurement_not_agreed');
    assert.equal(code({ 'x-ms-sgx-config-svn': 1 }), 'measurement_not_agreed');
    assert.equal(code({ 'x-ms-sgx-svn': 2 }), 'svn_too_low');
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
      tdx_mrowner: TDX.mrowner,
      tdx_mrownerconfig: TDX.mrownerconfig,
      tdx_td_attributes: TDX.tdAttributes,
      tdx_xfam: TDX.xfam,
    };
    const code = (changes: JsonObject = {}) => {
      const evidence = claimsOfToken({ ...claims, ...changes });
      return admitToken(manifestOf([IDENTITIES.tdx]), 'records', evidence).code;
    };
    assert.equal(code(), undefined);
    assert.equal(code({ attester_tcb_status: 'OutOfDate' }), 'policy.tcb');
    assert.equal(code({ tdx_td_attributes_septve_disable: false }), 'policy.sept_ve');
    assert.equal(code({ tdx_rtmr2: hex('00', 48) }), 'measurement_not_agreed');
    assert.equal(code({ tdx_mrowner: hex('01', 48) }), 'measurement_not_agreed');
    assert.equal(code({ tdx_mrownerconfig: hex('01', 48) }), 'measurement_not_agreed');
    assert.equal(code({ tdx_td_attributes: '0000003000000000' }), 'policy.migratable');
    assert.equal(code({ tdx_td_attributes: '0000009000000000' }), 'policy.attributes');
    assert.equal(code({ tdx_xfam: 'e400060000000000' }), 'policy.xfam');
  });
});
