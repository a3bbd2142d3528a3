import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SgxClaims, SnpClaims, TdxClaims } from '../claims.ts';
import { AT, forge } from '../intel/forge.test.ts';
import { verifySgxQuote } from '../sgx/verify-sgx-quote.ts';
import { verifyTdxQuote } from '../tdx/verify-tdx-quote.ts';
import type { AppraisalPolicy } from './appraisal-policy.ts';
import { appraise } from './appraise.ts';

const sgxResult = await forge('sgx3').then(({ quote, options }) => verifySgxQuote(quote, options));
const tdxResult = await forge('tdx4').then(({ quote, options }) => verifyTdxQuote(quote, options));
assert.ok(sgxResult.ok && tdxResult.ok);
/** As if Intel's root stood behind it: so each case has one fault only. */
const sgx: SgxClaims = { ...sgxResult.claims, simulated: false };
const tdx: TdxClaims = { ...tdxResult.claims, simulated: false };
const tcb = { fmc: 1, bootloader: 1, tee: 1, snp: 1, microcode: 1 };
const snp: SnpClaims = {
  tee: 'snp',
  simulated: false,
  product: 'Turin',
  signingKey: 'vcek',
  guestSvn: 0,
  policy: '0x30000',
  debug: false,
  migrateMA: false,
  familyId: '00'.repeat(16),
  imageId: '00'.repeat(16),
  vmpl: 0,
  platformInfo: '0x1',
  reportData: '5a'.repeat(64),
  measurement: 'aa'.repeat(48),
  hostData: 'bb'.repeat(32),
  idKeyDigest: 'cc'.repeat(48),
  authorKeyDigest: '00'.repeat(48),
  authorKeyEnabled: false,
  maskChipKey: false,
  reportId: '00'.repeat(32),
  reportIdMa: 'ff'.repeat(32),
  chipId: 'dd'.repeat(64),
  chipIdMasked: false,
  cpuid: null,
  currentTcb: tcb,
  reportedTcb: tcb,
  committedTcb: tcb,
  launchTcb: tcb,
  currentVersion: [1, 55, 0],
  committedVersion: [1, 55, 0],
};

const before = new Date(AT.getTime() - 30 * 86_400_000);
const after = new Date(AT.getTime() + 86_400_000);
const other = ['00'.repeat(48)];
const fresh = 'SWHardeningNeeded';

/** [what, claims, policy, code of the refusal, policy that accepts it, if any can] */
type Case = readonly [
  string,
  SgxClaims | TdxClaims | SnpClaims,
  AppraisalPolicy,
  string,
  AppraisalPolicy?,
];
const outOfDate = { ...sgx, tcbStatus: 'OutOfDate', advisoryIds: ['INTEL-SA-1'] } as const;
const CASES: readonly Case[] = [
  ['a simulated root', { ...sgx, simulated: true }, {}, 'policy.simulated', { roots: 'simulated' }],
  ['hardware where simulation was agreed', sgx, { roots: 'simulated' }, 'policy.simulated'],
  ['a debug enclave', { ...sgx, debug: true }, {}, 'policy.debug', { allowDebug: true }],
  ['a debug TD', { ...tdx, debug: true }, {}, 'policy.debug', { allowDebug: true }],
  ['a debug guest', { ...snp, debug: true }, {}, 'policy.debug', { allowDebug: true }],
  ['OutOfDate', outOfDate, {}, 'policy.tcb', { tcb: { accepted: ['OutOfDate'] } }],
  [
    'OutOfDate by an advisory that is not tolerated',
    outOfDate,
    { tcb: { toleratedAdvisories: ['INTEL-SA-2'] } },
    'policy.tcb',
    { tcb: { toleratedAdvisories: ['INTEL-SA-1'] } },
  ],
  [
    'OutOfDate without any advisory',
    { ...outOfDate, advisoryIds: [] },
    { tcb: { toleratedAdvisories: ['INTEL-SA-1'] } },
    'policy.tcb',
  ],
  [
    'OutOfDate beyond the grace period',
    outOfDate,
    { tcb: { acceptedFrom: after } },
    'policy.tcb',
    { tcb: { acceptedFrom: before } },
  ],
  [
    'Revoked, even where it is named',
    { ...sgx, tcbStatus: 'Revoked' },
    { tcb: { accepted: ['Revoked'], acceptedFrom: before } },
    'policy.tcb',
  ],
  [
    'TDRelaunchAdvised',
    { ...tdx, tcbStatus: 'TDRelaunchAdvised' },
    {},
    'policy.tcb',
    { tcb: { accepted: ['TDRelaunchAdvised'] } },
  ],
  [
    'a denied advisory',
    { ...sgx, tcbStatus: fresh, advisoryIds: ['INTEL-SA-1'] },
    { tcb: { deniedAdvisories: ['INTEL-SA-1'] } },
    'policy.advisory',
    { tcb: { deniedAdvisories: ['INTEL-SA-2'] } },
  ],
  [
    'an old TCB date',
    sgx,
    { tcb: { minDate: after } },
    'policy.tcb_date',
    { tcb: { minDate: before } },
  ],
  [
    'an old evaluation number',
    sgx,
    { tcb: { minEvaluationDataNumber: 21 } },
    'policy.evaluation_number',
    { tcb: { minEvaluationDataNumber: 20 } },
  ],
  [
    'another processor',
    sgx,
    { fmspcs: ['000000000000'] },
    'policy.platform',
    { fmspcs: [sgx.fmspc] },
  ],
  [
    'expired collateral',
    { ...sgx, collateralExpired: true },
    {},
    'policy.collateral_expired',
    { allowExpiredCollateral: true },
  ],
  [
    'an enclave without INIT',
    { ...sgx, attributes: '04'.padEnd(32, '0') },
    {},
    'policy.attributes',
  ],
  [
    'an enclave in 32-bit mode',
    { ...sgx, attributes: '01'.padEnd(32, '0') },
    {},
    'policy.attributes',
  ],
  [
    'an enclave with the key of the launch enclave',
    { ...sgx, attributes: '25'.padEnd(32, '0') },
    {},
    'policy.attributes',
  ],
  [
    'an enclave with a MISCSELECT that nobody knows',
    { ...sgx, miscSelect: '00000001' },
    {},
    'policy.attributes',
  ],
  [
    'another MRENCLAVE',
    sgx,
    { sgx: { mrenclave: [] } },
    'policy.measurement',
    { sgx: { mrenclave: [sgx.mrenclave] } },
  ],
  [
    'another MRSIGNER',
    sgx,
    { sgx: { mrsigner: ['00'] } },
    'policy.measurement',
    { sgx: { mrsigner: [sgx.mrsigner] } },
  ],
  [
    'another ISVPRODID',
    sgx,
    { sgx: { isvProdId: 1 } },
    'policy.measurement',
    { sgx: { isvProdId: sgx.isvProdId } },
  ],
  ['a low ISVSVN', sgx, { sgx: { minIsvSvn: 3 } }, 'policy.measurement', { sgx: { minIsvSvn: 2 } }],
  [
    'another CONFIGID',
    sgx,
    { sgx: { configId: [] } },
    'policy.measurement',
    { sgx: { configId: [sgx.configId] } },
  ],
  [
    'SEPT_VE_DISABLE off',
    { ...tdx, septVeDisable: false },
    {},
    'policy.sept_ve',
    { tdx: { allowSeptVeDisableOff: true } },
  ],
  [
    'a migratable TD',
    { ...tdx, tdAttributes: '0000003000000000' },
    {},
    'policy.migratable',
    { tdx: { allowMigratable: true } },
  ],
  [
    'an unknown TD attribute',
    { ...tdx, tdAttributes: '0000001800000000' },
    {},
    'policy.attributes',
    { tdx: { extraTdAttributes: '0000000800000000' } },
  ],
  [
    'a TUD bit besides DEBUG',
    { ...tdx, tdAttributes: '0200001000000000' },
    {},
    'policy.attributes',
  ],
  ['XFAM without SSE', { ...tdx, xfam: 'e518060000000000' }, {}, 'policy.xfam'],
  [
    'an unknown XFAM bit',
    { ...tdx, xfam: 'e718080000000000' },
    {},
    'policy.xfam',
    { tdx: { extraXfam: '0000080000000000' } },
  ],
  [
    'a service TD',
    { ...tdx, mrservicetd: 'ab'.repeat(48) },
    {},
    'policy.mrservicetd',
    { tdx: { mrservicetd: ['ab'.repeat(48)] } },
  ],
  [
    'no service TD where one was agreed',
    tdx,
    { tdx: { mrservicetd: ['ab'.repeat(48)] } },
    'policy.mrservicetd',
  ],
  [
    'another MRTD',
    tdx,
    { tdx: { mrtd: other } },
    'policy.measurement',
    { tdx: { mrtd: [tdx.mrtd] } },
  ],
  [
    'another RTMR2',
    tdx,
    { tdx: { rtmrs: [undefined, undefined, ['11'.repeat(48)]] } },
    'policy.measurement',
    { tdx: { rtmrs: [undefined, undefined, other] } },
  ],
  [
    'another MRSEAM',
    tdx,
    { tdx: { mrseam: [] } },
    'policy.measurement',
    { tdx: { mrseam: other } },
  ],
  [
    'another MRCONFIGID',
    tdx,
    { tdx: { mrconfigid: [] } },
    'policy.measurement',
    { tdx: { mrconfigid: other } },
  ],
  [
    'another MROWNER',
    tdx,
    { tdx: { mrowner: [] } },
    'policy.measurement',
    { tdx: { mrowner: other } },
  ],
  [
    'another MROWNERCONFIG',
    tdx,
    { tdx: { mrownerconfig: [] } },
    'policy.measurement',
    { tdx: { mrownerconfig: other } },
  ],
  [
    'a guest with a migration agent',
    { ...snp, migrateMA: true },
    {},
    'policy.migratable',
    { snp: { allowMigration: true } },
  ],
  [
    'a report asked for at VMPL 1',
    { ...snp, vmpl: 1 },
    {},
    'policy.attributes',
    { snp: { vmpls: [1] } },
  ],
  [
    'another MEASUREMENT',
    snp,
    { snp: { measurement: [] } },
    'policy.measurement',
    { snp: { measurement: [snp.measurement] } },
  ],
  [
    'another HOST_DATA',
    snp,
    { snp: { hostData: [] } },
    'policy.measurement',
    { snp: { hostData: [snp.hostData] } },
  ],
  [
    'another ID_KEY_DIGEST',
    snp,
    { snp: { idKeyDigest: [] } },
    'policy.measurement',
    { snp: { idKeyDigest: [snp.idKeyDigest] } },
  ],
  [
    'other report data',
    sgx,
    { reportData: new Uint8Array(64) },
    'policy.report_data',
    { reportData: new Uint8Array(64).fill(0x5a) },
  ],
  [
    'report data that only begin right',
    sgx,
    { reportData: new Uint8Array(63).fill(0x5a) },
    'policy.report_data',
  ],
  [
    'report data of 65 bytes',
    sgx,
    { reportData: new Uint8Array(65).fill(0x5a) },
    'policy.report_data',
  ],
  [
    'report data of no bytes',
    { ...sgx, reportData: '00'.repeat(64) },
    { reportData: new Uint8Array(0) },
    'policy.report_data',
  ],
];

describe('appraise', () => {
  for (const claims of [sgx, tdx, snp]) {
    it(`accepts ${claims.tee} claims that nothing is wrong with`, () => {
      const { ok, code, findings, reportDataChecked } = appraise(claims, {});
      assert.deepEqual({ ok, code, findings }, { ok: true, code: undefined, findings: [] });
      assert.equal(reportDataChecked, false);
    });
  }

  for (const [what, claims, policy, code, accepting] of CASES) {
    it(`refuses ${what}: ${code}`, () => {
      const appraisal = appraise(claims, policy);
      assert.equal(appraisal.code, code);
      const failed = appraisal.checks.filter(({ outcome }) => outcome === 'failed');
      assert.deepEqual(
        failed.map((check) => check.code),
        [code],
        'and for this reason only',
      );
      if (accepting !== undefined) assert.equal(appraise(claims, accepting).code, undefined);
    });
  }

  it('takes report data padded with zeros', () => {
    const reportData = `${'5a'.repeat(32)}${'00'.repeat(32)}`;
    const policy = { reportData: new Uint8Array(32).fill(0x5a) };
    const appraisal = appraise({ ...sgx, reportData }, policy);
    assert.ok(appraisal.ok && appraisal.reportDataChecked);
  });

  it('names what a default policy refuses, whatever this one does', () => {
    const claims = {
      ...tdx,
      debug: true,
      septVeDisable: false,
      mrservicetd: 'ab'.repeat(48),
      tdAttributes: '0100002000000000',
      tcbStatus: 'OutOfDate',
      simulated: true,
    } as const;
    assert.deepEqual(appraise(claims, { allowDebug: true }).findings, [
      'debug',
      'sept-ve-disable-off',
      'mrservicetd-nonzero',
      'td-migratable',
      'tcb-status:OutOfDate',
      'simulated',
    ]);
    const guest = { ...snp, migrateMA: true, chipIdMasked: true, vmpl: 3 };
    assert.deepEqual(appraise(guest, {}).findings, ['migrate-ma', 'chip-id-masked', 'vmpl-3']);
  });
});
