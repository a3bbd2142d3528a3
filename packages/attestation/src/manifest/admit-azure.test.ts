import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import type { SnpClaims, TdxClaims } from '../claims.ts';
import type { HclClaims } from '../azure-hcl/verify-hcl-report.ts';
import { claimsOfToken } from '../token/claims-of-token.ts';
import { admit, admitToken } from './admit.ts';
import { CODE_PCRS } from './code-pcrs.ts';
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

const onSnp = (changes: Partial<SnpClaims>): HclClaims => ({
  ...CVM,
  hardware: { ...SNP, ...changes },
});
const onTdx = (changes: Partial<TdxClaims>): HclClaims => ({
  ...CVM,
  hardware: { ...TDX, ...changes },
});
const configured = (vmConfiguration: JsonObject): HclClaims => ({
  ...CVM,
  runtime: { ...CVM.runtime, vmConfiguration },
});

/** [what, claims, check, code] */
type Case = readonly [string, HclClaims, string, string];

const MEASURED = 'measurement_not_agreed';
const older = { ...TCB, microcode: TCB.microcode - 1 };
const CASES: readonly Case[] = [
  [
    'another paravisor',
    onSnp({ measurement: hex('00', 48) }),
    'code: paravisor: launch measurement',
    MEASURED,
  ],
  [
    'a paravisor that was told something else',
    onSnp({ hostData: hex('00', 32) }),
    'code: paravisor: HOST_DATA',
    MEASURED,
  ],
  [
    'a paravisor that another key identified',
    onSnp({ idKeyDigest: hex('00', 48) }),
    'code: paravisor: ID_KEY_DIGEST',
    MEASURED,
  ],
  [
    'a debuggable paravisor',
    { ...onSnp({ debug: true }), debug: true },
    'hardware: not debuggable',
    'policy.debug',
  ],
  [
    'a report that the guest asked for, at its own level',
    onSnp({ vmpl: 2 }),
    'hardware: VMPL',
    'policy.attributes',
  ],
  [
    'a VM with a migration agent',
    onSnp({ migrateMA: true }),
    'hardware: not migratable',
    'policy.migratable',
  ],
  [
    'a VM whose memory may lie on CXL devices',
    onSnp({ policy: '0x230000' }),
    'hardware: POLICY',
    'policy.attributes',
  ],
  ['older firmware', onSnp({ reportedTcb: older }), 'hardware: TCB version', 'policy.tcb'],
  [
    'firmware that was renewed after launch',
    onSnp({ launchTcb: older }),
    'hardware: TCB at launch',
    'policy.tcb',
  ],
  [
    'firmware that may go back',
    onSnp({ committedTcb: older }),
    'hardware: TCB committed',
    'policy.tcb',
  ],
  [
    'a processor of nobody',
    { ...onSnp({ simulated: true }), simulated: true },
    'hardware: sort of evidence',
    'policy.simulated',
  ],
  ['another TD', onTdx({ mrtd: hex('00', 48) }), 'code: paravisor: MRTD', MEASURED],
  [
    'another paravisor in a TD',
    onTdx({ rtmrs: [hex('00', 48), hex('b3', 48), hex('b4', 48), hex('b5', 48)] }),
    'code: paravisor: RTMRs',
    MEASURED,
  ],
  [
    'a TD of somebody',
    onTdx({ mrownerconfig: hex('01', 48) }),
    'code: paravisor: MROWNERCONFIG',
    MEASURED,
  ],
  [
    'a TD on a platform that is out of date',
    onTdx({ tcbStatus: 'OutOfDate' }),
    'hardware: TCB status',
    'policy.tcb',
  ],
  [
    'a TD whose host can inject',
    onTdx({ septVeDisable: false }),
    'hardware: SEPT_VE_DISABLE',
    'policy.sept_ve',
  ],
  [
    'a debuggable TD',
    { ...onTdx({ debug: true }), debug: true },
    'hardware: not debuggable',
    'policy.debug',
  ],
  [
    'a VM without Secure Boot',
    configured({ 'secure-boot': false, 'tpm-enabled': true }),
    'hardware: Secure Boot',
    'policy.secure_boot',
  ],
  [
    'a VM that does not say whether it has Secure Boot',
    configured({ 'tpm-enabled': true }),
    'hardware: Secure Boot',
    'policy.secure_boot',
  ],
  [
    'a VM that says so in words',
    configured({ 'secure-boot': 'true', 'tpm-enabled': true }),
    'hardware: Secure Boot',
    'policy.secure_boot',
  ],
  [
    'a VM without a vTPM',
    configured({ 'secure-boot': true, 'tpm-enabled': false }),
    'hardware: vTPM',
    'policy.vtpm',
  ],
];

describe('admit refuses a confidential VM of Azure, by one check alone:', () => {
  for (const [what, claims, check, code] of CASES)
    it(what, () => {
      assertOnly(claims, check, code);
    });

  for (const index of CODE_PCRS) {
    it(`another PCR ${index}, or none`, () => {
      const other = { ...CVM.pcrs, [index]: hex('00', 32) };
      assertOnly({ ...CVM, pcrs: other }, `code: PCR ${index}`, MEASURED);
      const { [index]: _, ...missing } = CVM.pcrs;
      assertOnly({ ...CVM, pcrs: missing }, `code: PCR ${index}`, MEASURED);
    });
  }

  it('another value of a PCR that need not be named, where it is', () => {
    const pcrs = { ...IDENTITIES.cvm.pcrs, '14': hex('ee', 32) };
    const identity = { ...IDENTITIES.cvm, pcrs };
    assertOnly(CVM, 'code: PCR 14', MEASURED, {}, identity);
    assert.ok(admit(manifestOf([IDENTITIES.cvm]), 'records', CVM).ok);
  });

  it('a processor of the other make', () => {
    assertOnly(
      TDX_CVM,
      'code: paravisor: kind of TEE',
      'tee_not_agreed',
      {},
      { ...IDENTITIES.cvm },
    );
  });

  it('a guest where the manifest names the bare processor, and the other way round', () => {
    const pairs = [
      [CVM, IDENTITIES.snp],
      [TDX_CVM, IDENTITIES.tdx],
      [SNP, IDENTITIES.cvm],
      [TDX, IDENTITIES.tdxCvm],
      [SGX, IDENTITIES.cvm],
    ] as const;
    for (const [claims, identity] of pairs)
      assertOnly(claims, 'code: kind of TEE', 'tee_not_agreed', {}, { ...identity });
  });
});

describe('a confidential VM of Azure', () => {
  it('runs on the machines that the manifest names', () => {
    const named = manifestOf([IDENTITIES.cvm, IDENTITIES.tdxCvm], {
      platforms: [SNP.chipId, TDX.ppid],
    });
    assert.ok(admit(named, 'records', CVM).ok);
    assert.ok(admit(named, 'records', TDX_CVM).ok);
    assert.equal(admit(named, 'records', onSnp({ chipIdMasked: true })).code, 'policy.platform');
  });

  it('says of its isolation that no evidence shows it', () => {
    const { checks } = admit(manifestOf([IDENTITIES.cvm]), 'records', CVM);
    assert.equal(checks.find(({ check }) => check === 'code: isolation')?.outcome, 'skipped');
  });

  it('is not admitted by a token, which knows nothing of the registers', () => {
    const token = claimsOfToken({
      'x-ms-attestation-type': 'sevsnpvm',
      'x-ms-sevsnpvm-is-debuggable': false,
      'x-ms-sevsnpvm-migration-allowed': false,
      'x-ms-sevsnpvm-reportdata': hex('00', 64),
      'x-ms-sevsnpvm-guestsvn': 10,
      'x-ms-sevsnpvm-vmpl': 0,
      'x-ms-sevsnpvm-launchmeasurement': SNP.measurement,
      'x-ms-sevsnpvm-hostdata': SNP.hostData,
      'x-ms-sevsnpvm-idkeydigest': SNP.idKeyDigest,
      'x-ms-sevsnpvm-authorkeydigest': hex('00', 48),
      'x-ms-sevsnpvm-reportid': hex('00', 32),
      'x-ms-sevsnpvm-bootloader-svn': TCB.bootloader,
      'x-ms-sevsnpvm-tee-svn': TCB.tee,
      'x-ms-sevsnpvm-snpfw-svn': TCB.snp,
      'x-ms-sevsnpvm-microcode-svn': TCB.microcode,
      'x-ms-runtime': { keys: [], 'vm-configuration': { 'secure-boot': true } },
    });
    const verdict = admitToken(manifestOf([IDENTITIES.cvm]), 'records', token);
    assert.equal(verdict.code, 'token_without_pcrs');
    const failed = verdict.checks.filter(({ outcome }) => outcome === 'failed');
    assert.deepEqual(
      failed.map(({ check }) => check),
      ['code: PCRs'],
    );
    const other = admitToken(manifestOf([IDENTITIES.tdxCvm]), 'records', token);
    assert.equal(other.code, 'tee_not_agreed');
  });
});
