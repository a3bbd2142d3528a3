/** TCB info: entries 7 to 12 of spec/evidence.md 14, one defect each. */
/* oxlint-disable unicorn/consistent-function-scoping -- what a test spoils is read beside what it expects */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCertificate } from '@cloister/crypto';
import {
  AT,
  certificates,
  components,
  forge,
  forgeCrl,
  isvLevel,
  judge,
  levelsOf,
  moduleOf,
  sgxClaims,
  stranger,
  tcbOf,
  type Edits,
} from './forge.test.ts';

const later = (days: number) => new Date(AT.getTime() + days * 86_400_000);

describe('7 to 12: TCB info', () => {
  const qeOutOfDate: Edits['qeIdentity'] = (document) => {
    document['tcbLevels'] = [isvLevel(9, 'UpToDate'), isvLevel(1, 'OutOfDate')];
  };
  it('7: ConfigurationNeeded with a QE out of date is OutOfDateConfigurationNeeded', async () => {
    const tcbInfo: Edits['tcbInfo'] = (document) =>
      Object.assign(levelsOf(document)[0] ?? {}, { tcbStatus: 'ConfigurationNeeded' });
    const { tcbStatus } = await sgxClaims({ tcbInfo, qeIdentity: qeOutOfDate });
    assert.equal(tcbStatus, 'OutOfDateConfigurationNeeded');
  });
  const members: Record<string, [unknown, string]> = {
    fmspc: ['000000000001', 'tcbinfo.mismatch'],
    pceId: ['0001', 'tcbinfo.mismatch'],
    tcbType: [1, 'tcbinfo.invalid'],
    version: [4, 'tcbinfo.invalid'],
    tcbLevels: [[], 'tcbinfo.invalid'],
    issueDate: ['2026-02-30T00:00:00Z', 'tcbinfo.invalid'],
    nextUpdate: ['2026-12-01', 'tcbinfo.invalid'],
    tdxModule: [moduleOf(), 'tcbinfo.invalid'],
  };
  for (const [member, [value, code]] of Object.entries(members)) {
    it(`8: another ${member}: ${code}`, async () => {
      const tcbInfo: Edits['tcbInfo'] = (document) => Object.assign(document, { [member]: value });
      assert.equal(await judge('sgx3', { tcbInfo }), code);
    });
  }
  it('8: TCB info of the other TEE: tcbinfo.mismatch', async () => {
    const { options } = await forge('tdx4');
    const { tcbInfo } = options.collateral;
    assert.equal(await judge('sgx3', { collateral: { tcbInfo } }), 'tcbinfo.mismatch');
  });
  it('8: an unknown status or a duplicate level refuses the document', async () => {
    const unknown: Edits['tcbInfo'] = (document) =>
      Object.assign(levelsOf(document)[1] ?? {}, { tcbStatus: 'Whatever' });
    assert.equal(await judge('sgx3', { tcbInfo: unknown }), 'tcbinfo.invalid');
    const twice: Edits['tcbInfo'] = (document) =>
      levelsOf(document).push({ ...levelsOf(document)[0], tcbStatus: 'OutOfDate' });
    assert.equal(await judge('sgx3', { tcbInfo: twice }), 'tcbinfo.invalid');
  });
  it('9: no level matches: refused, not "Unknown"', async () => {
    const tcbInfo: Edits['tcbInfo'] = (document) => {
      for (const level of levelsOf(document)) tcbOf(level)['sgxtcbcomponents'] = components(200);
      Object.assign(tcbOf(levelsOf(document)[1]), { pcesvn: 1 });
    };
    assert.equal(await judge('sgx3', { tcbInfo }), 'tcb.unsupported');
  });
  it('9: a PCE too low is too low', async () => {
    const tcbInfo: Edits['tcbInfo'] = (document) => {
      Object.assign(tcbOf(levelsOf(document)[0]), { pcesvn: 12 });
    };
    assert.equal((await sgxClaims({ tcbInfo })).tcbStatus, 'OutOfDate');
  });
  it('9: one component too low is too low, whatever the others are', async () => {
    const tcbInfo: Edits['tcbInfo'] = (document) => {
      const first = components(0);
      first[15] = { svn: 1 };
      tcbOf(levelsOf(document)[0])['sgxtcbcomponents'] = first;
    };
    assert.equal((await sgxClaims({ tcbInfo })).tcbStatus, 'OutOfDate');
  });
  it('9: a QE below all levels: tcb.unsupported', async () => {
    const qeIdentity: Edits['qeIdentity'] = (document) => {
      document['tcbLevels'] = [isvLevel(9, 'UpToDate')];
    };
    assert.equal(await judge('sgx3', { qeIdentity }), 'tcb.unsupported');
  });
  for (const [name, code] of [
    ['tcbInfo', 'tcbinfo.expired'],
    ['qeIdentity', 'qeid.expired'],
  ] as const) {
    it(`10: ${name} from the future: ${code}`, async () => {
      const issueDate = `${later(1).toISOString().slice(0, 19)}Z`;
      const edit: Edits['tcbInfo'] = (document) => Object.assign(document, { issueDate });
      assert.equal(await judge('sgx3', { [name]: edit }), code);
    });
    it(`10: ${name} of yesterday: ${code}`, async () => {
      const nextUpdate = `${later(-1).toISOString().slice(0, 19)}Z`;
      const edit: Edits['tcbInfo'] = (document) => Object.assign(document, { nextUpdate });
      assert.equal(await judge('sgx3', { [name]: edit }), code);
    });
  }
  it('11: levels in ascending order are sorted', async () => {
    const tcbInfo: Edits['tcbInfo'] = (document) => {
      document['tcbLevels'] = levelsOf(document).toReversed();
    };
    assert.equal((await sgxClaims({ tcbInfo })).tcbStatus, 'UpToDate');
  });
  it('12: the serial of the PCK certificate in the root CRL revokes nothing', async () => {
    const rootCaCrl = await forgeCrl({
      by: 'root',
      serials: [parseCertificate(certificates.pck).serial],
    });
    assert.equal(await judge('sgx3', { collateral: { rootCaCrl } }), 'ok');
  });
  it('a tampered or stranger-signed TCB info: tcbinfo.signature', async () => {
    const edits: Edits = { documentSigner: stranger.privateKey };
    assert.equal(await judge('sgx3', edits), 'tcbinfo.signature');
    const { options } = await forge('sgx3');
    const tcbInfo = options.collateral.tcbInfo.replace('"OutOfDate"', '"UpToDate" ');
    assert.equal(await judge('sgx3', { collateral: { tcbInfo } }), 'tcbinfo.signature');
  });
  it('a member named twice refuses the envelope', async () => {
    const { options } = await forge('sgx3');
    const twice = `{"tcbInfo":{},${options.collateral.tcbInfo.slice(1)}`;
    assert.equal(await judge('sgx3', { collateral: { tcbInfo: twice } }), 'tcbinfo.invalid');
  });
});
