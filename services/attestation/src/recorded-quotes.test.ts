import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeBase64, encodeHex, encodeUtf8, type JsonObject } from '@cloister/bytes';
import { parseJws, sha256, verifyJws } from '@cloister/crypto';
import { sharedMissing } from '../../../tests/shared.ts';
import {
  bytes,
  errorOf,
  OE,
  payloadOf,
  recordedToken,
  SGX,
  tokenOf,
  without,
} from './answers.test.ts';
import { createApp } from './app.ts';
import {
  b64,
  BASE_URL,
  key,
  makeDeps,
  NEWER,
  newerCollateral,
  post,
  RECORDED,
  recordedCollateral,
  sharedBytes,
  storeOf,
} from './fixture.test.ts';

/** The policy would refuse in other words than the appraisal. */
const DENY = 'version=1.0;authorizationrules{=>deny();};';

describe('attesting recorded quotes of real enclaves', { skip: sharedMissing }, async () => {
  if (sharedMissing !== false) return;
  const { deps, lines } = await makeDeps({
    collateral: storeOf(newerCollateral(), recordedCollateral()),
  });
  const newer = createApp((await makeDeps({ collateral: deps.collateral, now: () => NEWER })).deps);
  const app = createApp(deps);
  const quote = sharedBytes('maa/sdk/sgx-debug.quote.bin');
  const report = sharedBytes('maa/sdk/oe-debug.report.bin');
  const runtime = sharedBytes('maa/sdk/oe-debug.runtimedata.bin');
  const binary = { data: b64(runtime), dataType: 'Binary' };
  const json = { data: b64(runtime), dataType: 'JSON' };

  const recorded = [
    ['sgx-simple-shared', SGX, { quote: b64(quote) }],
    ['sgx-runtimedata-json-shared', SGX, { quote: b64(quote), runtimeData: json }],
    ['oe-runtimedata-binary-shared', OE, { report: b64(report), runtimeData: binary }],
  ] as const;
  for (const [name, path, body] of recorded)
    it(`gives the claims of the recorded token ${name}`, async () => {
      const payload = payloadOf(await tokenOf(await app.request(path, post(body))));
      const real = recordedToken(name);
      assert.deepEqual(without(payload), without(real));
      assert.deepEqual(Object.keys(payload).toSorted(), Object.keys(real).toSorted());
      const hashes = payload['x-ms-sgx-collateral'] as JsonObject;
      const realHashes = real['x-ms-sgx-collateral'] as JsonObject;
      assert.deepEqual(Object.keys(hashes).toSorted(), Object.keys(realHashes).toSorted());
      assert.deepEqual(payload['maa-attestationcollateral'], hashes);
      for (const proven of ['quotehash', 'qeidcertshash', 'tcbinfocertshash'])
        assert.equal(hashes[proven], realHashes[proven], proven);
    });

  it('signs RS256 with the header of the real service, for eight hours', async () => {
    const token = await tokenOf(await app.request(SGX, post({ quote: b64(quote) })));
    const { header } = parseJws(token);
    assert.deepEqual(header, {
      alg: 'RS256',
      jku: `${BASE_URL}/certs`,
      kid: key.kid,
      typ: 'JWT',
    });
    const result = await verifyJws(token, { key: key.jwk, algs: ['RS256'] });
    assert.ok(result.ok);
    const { iss, iat, nbf, exp, jti } = payloadOf(token);
    const at = RECORDED.getTime() / 1000;
    assert.deepEqual([iss, iat, nbf, exp], [BASE_URL, at, at, at + 28_800]);
    assert.ok(typeof jti === 'string' && /^[0-9a-f]{64}$/.test(jti));
  });

  for (const variant of ['debug', 'release', 'securityversion'])
    it(`takes the ${variant} quote of Intel's sample, with its held data`, async () => {
      const held = sharedBytes(`maa/sgx-intel/${variant}.ehd.bin`);
      const answer = await newer.request(
        SGX,
        post({
          quote: b64(sharedBytes(`maa/sgx-intel/${variant}.quote.bin`)),
          runtimeData: { data: b64(held), dataType: 'binary' },
        }),
      );
      const payload = payloadOf(await tokenOf(answer));
      for (const claim of ['x-ms-sgx-ehd', 'maa-ehd', 'aas-ehd'])
        assert.equal(payload[claim], b64(held));
      assert.equal(payload['x-ms-sgx-is-debuggable'], variant === 'debug');
      const digest = encodeHex(await sha256(held));
      const reportData = payload['x-ms-sgx-report-data'];
      assert.ok(typeof reportData === 'string' && reportData.startsWith(digest));
      if (variant === 'securityversion') assert.equal(payload['svn'], 8888);
    });

  it('takes an Open Enclave report, and its product id', async () => {
    const body = { report: b64(sharedBytes('maa/oe/prodid.report.bin')) };
    const payload = payloadOf(await tokenOf(await app.request(OE, post(body))));
    assert.equal(payload['product-id'], 9999);
    assert.equal(payload['x-ms-attestation-type'], 'sgx');
  });

  it('echoes a nonce as given, a number beyond 2^53 too', async () => {
    for (const [given, claim] of [
      ['"a\\u00e9"', 'aé'],
      ['18446744073709551615', '18446744073709551615'],
    ]) {
      const body = `{"nonce": ${given}, "quote": "${b64(quote)}"}`;
      assert.equal(payloadOf(await tokenOf(await app.request(SGX, post(body))))['nonce'], claim);
    }
  });

  it('takes standard base64, padded base64url, and paths in any case', async () => {
    const padded = b64(quote).padEnd(Math.ceil(quote.length / 3) * 4, '=');
    await tokenOf(await app.request(SGX, post({ quote: encodeBase64(quote) })));
    await tokenOf(
      await app.request('/Attest/sgxenclave?api-version=2025-06-01', post({ quote: padded })),
    );
  });

  it('ignores unknown members, and members that are null', async () => {
    const body = { quote: b64(quote), runtimeData: null, nonce: null, other: { a: [1] } };
    await tokenOf(await app.request(SGX, post(body)));
  });

  const at = (offset: number) => {
    const changed = quote.slice();
    changed[offset] = (changed[offset] ?? 0) ^ 1;
    return { quote: b64(changed) };
  };
  const refused: Readonly<Record<string, [unknown, string, RegExp, string?]>> = {
    'a body that is no JSON': ['{', 'InvalidParameter', /body is not a JSON object/],
    'a body that is an array': ['[]', 'InvalidParameter', /body is not a JSON object/],
    'a member given twice': ['{"quote":"AA","quote":"AA"}', 'InvalidParameter', /body/],
    'no quote': [{ report: b64(quote) }, 'InvalidParameter', /quote: required/],
    'a quote that is a number': [{ quote: 1 }, 'InvalidParameter', /quote: required/],
    'a quote that is no base64': [
      { quote: 'AA A' },
      'InvalidOperation',
      /^Unknown base64 character: 32 \(' '\)$/,
    ],
    'base64 with bits left over': [{ quote: 'AB' }, 'InvalidOperation', /quote: not base64/],
    'a quote cut short': [
      { quote: b64(quote.subarray(0, 500)) },
      'InvalidParameter',
      /quote.format/,
    ],
    'a quote of nothing but zeros': [
      { quote: b64(new Uint8Array(4584)) },
      'InvalidParameter',
      /quote\.format/,
    ],
    'a changed MRENCLAVE': [at(112), 'InvalidParameter', /quote\.signature/],
    'another platform': [
      { quote: b64(sharedBytes('sgx/quotes/phala-sgx-quote-f8b810.bin')) },
      'InvalidParameter',
      /error in the quote collateral/,
    ],
    'runtime data of another quote': [
      { quote: b64(quote), runtimeData: { data: bytes('{}'), dataType: 'JSON' } },
      'InvalidParameter',
      /runtimeData does not match/,
    ],
    'runtime data that are no JSON': [
      { quote: b64(quote), runtimeData: { data: bytes('x'), dataType: 'JSON' } },
      'InvalidParameter',
      /runtimeData: data is not a JSON object/,
    ],
    'runtime data of an unknown type': [
      { quote: b64(quote), runtimeData: { data: b64(runtime), dataType: 'XML' } },
      'InvalidParameter',
      /runtimeData: unknown dataType/,
    ],
    'runtime data without a type': [
      { quote: b64(quote), runtimeData: { data: b64(runtime) } },
      'InvalidParameter',
      /runtimeData: data and dataType required/,
    ],
    'init-time data for an enclave without KSS': [
      { quote: b64(quote), initTimeData: { data: bytes('{}'), dataType: 'JSON' } },
      'InvalidParameter',
      /initTimeData does not match/,
    ],
    'a nonce that is an object': [{ quote: b64(quote), nonce: {} }, 'InvalidParameter', /nonce/],
    'a nonce that is too long': [
      { quote: b64(quote), nonce: 'x'.repeat(1025) },
      'InvalidParameter',
      /nonce/,
    ],
    'a draft policy that is no text': [
      { quote: b64(quote), draftPolicyForAttestation: 1 },
      'InvalidParameter',
      /draftPolicyForAttestation: not a string/,
    ],
    'a draft policy that cannot be read': [
      { quote: b64(quote), draftPolicyForAttestation: 'version=1.0\n[' },
      'PolicyParsingError',
      /^Policy Parser Exception Thrown: Offending symbol: '\['  Line: '2', Column: '1'/,
    ],
    'a draft policy that does not permit': [
      { quote: b64(quote), draftPolicyForAttestation: 'version=1.0;authorizationrules{};' },
      'PolicyEvaluationError',
      /No Permit claim was issued in the authorizationrules section/,
    ],
  };
  for (const [what, [body, code, message]] of Object.entries(refused))
    it(`refuses ${what}`, async () => {
      const error = await errorOf(await app.request(SGX, post(body)));
      assert.deepEqual([error.status, error.code], [400, code]);
      assert.match(error.message, message);
    });

  it('refuses an Open Enclave report whose header does not fit', async () => {
    for (const offset of [0, 4, 8]) {
      const changed = report.slice();
      changed[offset] = (changed[offset] ?? 0) ^ 4;
      const error = await errorOf(await app.request(OE, post({ report: b64(changed) })));
      assert.match(error.message, /report\.format/);
    }
  });

  it('refuses a missing, unknown or misspelled api-version', async () => {
    for (const query of ['', '?api-version=2019-01-01', '?API-Version=2020-10-01']) {
      const answer = await app.request(`/attest/SgxEnclave${query}`, post({ quote: b64(quote) }));
      const { status, code } = await errorOf(answer);
      assert.deepEqual([status, code], [400, 'InvalidParameter']);
    }
  });

  it('refuses a body beyond 1 MiB', async () => {
    const error = await errorOf(await app.request(SGX, post({ quote: 'A'.repeat(1 << 20) })));
    assert.equal(error.status, 413);
  });

  it('says of collateral out of date that it is', async () => {
    const late = await makeDeps({
      collateral: deps.collateral,
      verificationTime: () => new Date('2026-01-01T00:00:00Z'),
    });
    const answer = await createApp(late.deps).request(SGX, post({ quote: b64(quote) }));
    const { message } = await errorOf(answer);
    assert.match(message, /expired/);
  });

  it('refuses what the appraisal refuses, before the policy is asked', async () => {
    for (const [code, azure] of [
      ['policy.debug', 'PolicyEvaluationError'],
      ['policy.tcb', 'InvalidParameter'],
    ] as const) {
      const strict = await makeDeps({
        collateral: deps.collateral,
        appraise: () => ({ ok: false, code, checks: [], findings: [] }),
      });
      const body = { quote: b64(quote), draftPolicyForAttestation: DENY };
      const answer = await createApp(strict.deps).request(SGX, post(body));
      const error = await errorOf(answer);
      assert.equal(error.code, azure);
      assert.ok(error.message.includes(code));
    }
  });

  it('lets a claim of its own win over one that a policy issues under the same name', async () => {
    const draftPolicyForAttestation = `version=1.0;authorizationrules{=>permit();};issuancerules{
      =>issue(type="x-ms-sgx-mrsigner",value="forged");=>issue(type="iss",value="forged");
      =>issue(type="mine",value=1);=>issue(type="nonce",value="forged");
      =>issue(type="x-ms-runtime",value="forged");};`;
    const body = { quote: b64(quote), draftPolicyForAttestation };
    const answer = await app.request(SGX, post(body));
    const payload = payloadOf(await tokenOf(answer));
    assert.equal(payload['iss'], BASE_URL);
    assert.notEqual(payload['x-ms-sgx-mrsigner'], 'forged');
    assert.equal(payload['mine'], 1);
    assert.deepEqual(payload['x-ms-policy'], {
      'x-ms-sgx-mrsigner': 'forged',
      iss: 'forged',
      mine: 1,
      nonce: 'forged',
      'x-ms-runtime': 'forged',
    });
    // Names of the service's own are its own also where it says nothing.
    for (const name of ['nonce', 'x-ms-runtime']) assert.equal(Object.hasOwn(payload, name), false);
    assert.equal(Object.hasOwn(payload, 'tee'), false);
  });

  it('logs kinds, codes and times, and nothing of what was sent', async () => {
    const canary = 'CANARY-Zhang-San';
    for (const body of [
      { quote: b64(quote), nonce: canary },
      { quote: b64(quote), runtimeData: { data: bytes(canary), dataType: 'Binary' } },
      { quote: b64(quote), runtimeData: { data: bytes(canary), dataType: canary } },
      { quote: canary, draftPolicyForAttestation: canary },
      canary,
    ])
      await app.request(SGX, post(body));
    await app.request(`/attest/${canary}?api-version=${canary}`, post({}));
    await app.request(`/collateral/sgx?fmspc=${canary}`);
    const log = lines.join('');
    assert.match(log, /"event":"attested","kind":"SgxEnclave","tcb":"/);
    assert.match(log, /"event":"refused","kind":"SgxEnclave","code":"runtime_data_mismatch"/);
    for (const text of [canary, b64(encodeUtf8(canary)), '292a1f4b', '28542e44'])
      assert.ok(!log.includes(text), text);
  });
});
