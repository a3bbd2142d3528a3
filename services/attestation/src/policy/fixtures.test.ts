import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { compilePolicy, policyHash, policyTokenHash, serviceClaim } from '@cloister/attestation';
import { encodeBase64url, encodeUtf8 } from '@cloister/bytes';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { JMES_PATH } from './jmespath.ts';

const text = (name: string): string =>
  readFileSync(shared(`vectors/maa/policies/${name}.txt`), 'utf8');
const compile = (name: string) => compilePolicy(text(name), { jmesPath: JMES_PATH });

/** The claims of `vectors/maa/sdk/sgx-debug.quote.bin`, or of one that is not debuggable. */
const enclave = (debug = true, mrsigner = MRSIGNER) =>
  Object.entries({
    'x-ms-sgx-is-debuggable': debug,
    'x-ms-sgx-product-id': 1,
    'x-ms-sgx-svn': 1,
    'x-ms-sgx-mrsigner': mrsigner,
    'x-ms-sgx-mrenclave': MRENCLAVE,
    'x-ms-attestation-type': 'sgx',
    '$is-debuggable': debug,
    '$product-id': 1,
    $svn: 1,
    '$sgx-mrsigner': mrsigner,
    '$sgx-mrenclave': MRENCLAVE,
    $tee: 'sgx',
  }).map(([type, value]) => serviceClaim(type, value));
const MRSIGNER = '4aea5f9a0ed04b11f889aadfe6a1d376213a29a95a85ce7337ae6f7fece6610c';
const MRENCLAVE = '292a1f4b519e46627eb2478a3d9851405653c5b4b0a6925de843834d9216850e';
const LEGACY = {
  'is-debuggable': true,
  'sgx-mrsigner': MRSIGNER,
  'sgx-mrenclave': MRENCLAVE,
  'product-id': 1,
  svn: 1,
  tee: 'sgx',
};

/** What a TPM says of a machine that booted securely. */
const bootedSecurely = (aik: boolean) =>
  Object.entries({
    aikValidated: aik,
    secureBootEnabled: true,
    bootDebuggingDisabled: true,
    notSafeMode: true,
  }).map(([type, value]) => serviceClaim(type, value));

/** A log of boot events; without data, it does not speak of secure boot. */
const bootEvents = (data: string | undefined) =>
  JSON.stringify({
    Events: [
      { EventTypeString: 'EV_POST_CODE', ProcessedData: {} },
      {
        EventTypeString: 'EV_EFI_VARIABLE_DRIVER_CONFIG',
        ProcessedData: {
          VariableGuid: '8BE4DF61-93CA-11D2-AA0D-00E098032B8C',
          UnicodeName: data === undefined ? 'PK' : 'SecureBoot',
          VariableData: data,
        },
      },
    ],
  });

/** PCR 0 of this value. */
const pcrs = (value: string) => [
  serviceClaim('pcrs', JSON.stringify({ PCRs: [{ Index: 0, Digests: { SHA256: value } }] }), true),
];

describe('the fixture policies', { skip: sharedMissing }, () => {
  it('01, 02 and 06 issue the older names', () => {
    for (const name of [
      '01-default-sgx-2022-live',
      '02-default-sgx-1.1-docs',
      '06-legacy-dollar-claims',
    ]) {
      const outcome = compile(name).evaluate(enclave());
      assert.ok(outcome.ok, name);
      assert.deepEqual(outcome.issued, LEGACY);
      const azure = { 'x-ms-sgx-tcbidentifier': 'azuredefault' };
      assert.deepEqual(outcome.properties, name.startsWith('02') ? azure : {});
    }
  });

  it('03 permits and issues nothing', () => {
    assert.deepEqual(compile('03-minimal-sdk').evaluate(enclave()), {
      ok: true,
      issued: {},
      properties: {},
    });
  });

  it('04 permits the debuggable enclave and issues its signer', () => {
    const policy = compile('04-draft-permit-debug-sdk');
    const outcome = policy.evaluate(enclave());
    assert.ok(outcome.ok);
    assert.deepEqual(outcome.issued, { 'custom-name': MRSIGNER });
    assert.ok(!policy.evaluate(enclave(false)).ok);
  });

  it('05 permits nothing', () => {
    const outcome = compile('05-draft-implicit-deny-sdk').evaluate(enclave());
    assert.ok(!outcome.ok);
    assert.match(outcome.message, /No Permit claim was issued in the authorizationrules section/);
  });

  it('07 permits a listed signer that is not debuggable', () => {
    const policy = compile('07-mrsigner-rotation');
    assert.ok(!policy.evaluate(enclave()).ok);
    assert.ok(!policy.evaluate(enclave(true, 'mrsigner1')).ok);
    for (const signer of ['mrsigner1', 'mrsigner2']) {
      const outcome = policy.evaluate(enclave(false, signer));
      assert.deepEqual(outcome, { ok: true, issued: {}, properties: {} });
    }
  });

  it('08 denies all', () => {
    const outcome = compile('08-deny-all').evaluate(enclave());
    assert.ok(!outcome.ok);
    assert.match(outcome.message, /A Deny claim was issued/);
  });

  it('09 needs secure boot and issues an integer', () => {
    const policy = compile('09-add-literal-claim');
    const outcome = policy.evaluate([serviceClaim('secureBootEnabled', true)]);
    assert.ok(outcome.ok);
    assert.deepEqual(outcome.issued, { SecurityLevelValue: 100 });
    assert.ok(!policy.evaluate([serviceClaim('secureBootEnabled', false)]).ok);
    const claim = { ...serviceClaim('secureBootEnabled', true), issuer: 'CustomClaim' } as const;
    assert.ok(!policy.evaluate([claim]).ok);
  });

  it('10 sets properties, and says whether the platform is attested', () => {
    const policy = compile('10-tpm-1.1-config');
    for (const aik of [true, false]) {
      const outcome = policy.evaluate(bootedSecurely(aik));
      assert.ok(outcome.ok);
      assert.deepEqual(outcome.properties, {
        required_pcr_mask: 15,
        require_valid_aik_cert: false,
      });
      assert.deepEqual(outcome.issued, { PlatformAttested: aik });
    }
  });

  it('11 finds secure boot in the boot events', () => {
    const policy = compile('11-1.2-jmespath-not');
    for (const [data, on] of [
      ['AQ', true],
      ['AA', false],
      [undefined, false],
    ] as const) {
      const outcome = policy.evaluate([serviceClaim('events', bootEvents(data))]);
      assert.ok(outcome.ok, outcome.ok ? '' : outcome.message);
      assert.deepEqual(outcome.issued, { secureBootEnabled: on });
    }
    const none = policy.evaluate([]);
    assert.ok(none.ok);
    assert.deepEqual(none.issued, { secureBootEnabled: false });
  });

  it('12 permits by a PCR, which is read-only', () => {
    const policy = compile('12-1.2-pcr-authorization');
    const digest = '4c833b1c361fceffd8dc0f81eec76081b71e1a0eb2193caed0b6e1c7735ec33e';
    assert.ok(policy.evaluate(pcrs(digest)).ok);
    assert.ok(!policy.evaluate(pcrs('00')).ok);
  });

  it('13 denies a debuggable enclave, although it permits everything', () => {
    const policy = compile('13-deny-wins-comments');
    assert.ok(!policy.evaluate(enclave()).ok);
    assert.ok(policy.evaluate(enclave(false)).ok);
  });

  it('14 is refused at line 2, column 1', () => {
    assert.throws(() => compile('14-invalid-missing-semicolon'), {
      name: 'PolicyParsingError',
      line: 2,
      column: 1,
      message: /mismatched input '\[' expecting ';'.*'policy > versionInfo'/,
    });
  });

  it('have the hashes of the real service', async () => {
    assert.equal(
      await policyHash(text('01-default-sgx-2022-live')),
      'bROrN897ZfWmWY2V0FLUlu3uwk5xatGnKYHn3zBbSlw',
    );
    assert.equal(
      await policyHash(text('04-draft-permit-debug-sdk')),
      '1wKUrF_E0X5CZUM9OMIF1PH3qn5iykWY_bWgBbiWJZ0',
    );
    const payload = JSON.stringify({
      AttestationPolicy: encodeBase64url(encodeUtf8(text('03-minimal-sdk'))),
    });
    assert.equal(
      await policyTokenHash(`eyJhbGciOiJub25lIn0.${encodeBase64url(encodeUtf8(payload))}.`),
      'c6sEJQItV50OeP9IrP_bzywAMOVvj5uDPbklA_bwdYQ',
    );
  });
});
