import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { decodeUtf8, parseJsonObject, type JsonObject } from '@cloister/bytes';
import { parseJws } from '@cloister/crypto';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { claimsOfToken } from './claims-of-token.ts';

const SGX: JsonObject = {
  'x-ms-attestation-type': 'simulated',
  'x-ms-policy-hash': 'p'.repeat(43),
  'x-ms-sgx-is-debuggable': false,
  'x-ms-sgx-mrenclave': 'a1'.repeat(32),
  'x-ms-sgx-mrsigner': 'b2'.repeat(32),
  'x-ms-sgx-product-id': 1,
  'x-ms-sgx-svn': 2,
  'x-ms-sgx-report-data': 'c3'.repeat(64),
};
const REGISTER = 'd4'.repeat(48);
const TDX: JsonObject = {
  'x-ms-attestation-type': 'tdxvm',
  attester_tcb_status: 'UpToDate',
  tdx_td_attributes_debug: false,
  tdx_td_attributes_septve_disable: true,
  tdx_report_data: 'c3'.repeat(64),
  tdx_mrtd: REGISTER,
  tdx_rtmr0: REGISTER,
  tdx_rtmr1: REGISTER,
  tdx_rtmr2: REGISTER,
  tdx_rtmr3: REGISTER,
  tdx_mrseam: REGISTER,
  tdx_mrconfigid: REGISTER,
  tdx_mrowner: REGISTER,
  tdx_mrownerconfig: REGISTER,
  tdx_td_attributes: '0000001000000000',
  tdx_xfam: 'e700060000000000',
};

describe('claimsOfToken', () => {
  it('reads SGX claims, and says simulated by the type alone', () => {
    const claims = claimsOfToken(SGX);
    assert.ok(claims.tee === 'sgx');
    assert.equal(claims.simulated, true);
    assert.equal(claims.configId, undefined);
    const hardware = claimsOfToken({ ...SGX, 'x-ms-attestation-type': 'sgx' });
    assert.equal(hardware.simulated, false);
  });

  it('reads TDX claims', () => {
    const claims = claimsOfToken(TDX);
    assert.ok(claims.tee === 'tdx');
    assert.deepEqual(claims.rtmrs, [REGISTER, REGISTER, REGISTER, REGISTER]);
    assert.equal(claims.tcbStatus, 'UpToDate');
    const { attester_tcb_status: _, ...silent } = TDX;
    const quiet = claimsOfToken(silent);
    assert.ok(quiet.tee === 'tdx' && quiet.tcbStatus === undefined);
  });

  it('reads the SNP claims of a recorded token', { skip: sharedMissing }, () => {
    const token = readFileSync(shared('vectors/maa/certs/sev-snp-maa-token.jwt'), 'utf8').trim();
    const claims = claimsOfToken(parseJsonObject(decodeUtf8(parseJws(token).payload)));
    assert.ok(claims.tee === 'snp');
    assert.equal(claims.type, 'sevsnpvm');
    assert.match(claims.hostData, /^73973b78d70cc683/u);
    assert.deepEqual(claims.reportedTcb, { bootloader: 3, tee: 0, snp: 8, microcode: 115 });
    assert.equal(claims.migrationAllowed, false);
    assert.equal(claims.vmpl, 0);
  });

  it('takes the claims of the service, whatever a policy issued', () => {
    const claims = claimsOfToken({
      ...SGX,
      'sgx-mrenclave': '00'.repeat(32),
      'is-debuggable': true,
      'x-ms-policy': { 'x-ms-sgx-mrenclave': '00'.repeat(32), 'sgx-mrenclave': '00'.repeat(32) },
    });
    assert.ok(claims.tee === 'sgx');
    assert.equal(claims.mrenclave, 'a1'.repeat(32));
    assert.equal(claims.debug, false);
  });

  for (const name of ['x-ms-runtime', 'x-ms-sgx-config-id'] as const) {
    it(`refuses an issued ${name}, which the service makes only sometimes`, () => {
      const value = name === 'x-ms-runtime' ? {} : '00'.repeat(64);
      assert.ok(claimsOfToken({ ...SGX, [name]: value }));
      const token = { ...SGX, [name]: value, 'x-ms-policy': { [name]: value } };
      assert.throws(() => claimsOfToken(token), { where: `token: /${name}` });
    });
  }

  for (const [kind, token] of Object.entries({ sgx: SGX, tdx: TDX })) {
    for (const name of Object.keys(token)) {
      if (name === 'x-ms-policy-hash' || name === 'attester_tcb_status') continue;
      it(`refuses ${kind} without ${name}, or with another type of it`, () => {
        const { [name]: _, ...rest } = token;
        assert.throws(() => claimsOfToken(rest), { name: 'MalformedError' });
        assert.throws(() => claimsOfToken({ ...token, [name]: [] }), { name: 'MalformedError' });
      });
    }
  }

  it('refuses kinds that it does not know', () => {
    for (const type of ['azurevm', 'tpm', 'SGX', ''])
      assert.throws(() => claimsOfToken({ ...SGX, 'x-ms-attestation-type': type }), {
        name: 'MalformedError',
      });
  });
});
