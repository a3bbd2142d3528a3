import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeUtf8, type JsonObject, type JsonValue } from '@cloister/bytes';
import {
  basicConstraintsExtension,
  createCertificate,
  encodeName,
  jwkFromSpki,
  parseJws,
  signJws,
  verifyJws,
} from '@cloister/crypto';
import { errorOf, payloadOf, tokenOf } from './answers.test.ts';
import { createApp, type AppDeps } from './app.ts';
import { b64, BASE_URL, key, makeDeps, RECORDED } from './fixture.test.ts';
import { holderOf, nobody } from './management/authorize.ts';
import { unsecuredPolicy } from './policy/default-policies.ts';
import { chainHash } from './state/sqlite-state-store.ts';
import type { StateStore } from './state/state-store.ts';

const V = '?api-version=2022-08-01';
const TEXT = 'version=1.0; authorizationrules{=> permit();}; issuancerules{};';
const RESET = 'eyJhbGciOiJub25lIn0..';

interface Signer {
  readonly pair: CryptoKeyPair;
  readonly der: Uint8Array<ArrayBuffer>;
  readonly spki: Uint8Array<ArrayBuffer>;
}

const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
};

async function makeSigner(commonName: string, ca = true): Promise<Signer> {
  const pair = await crypto.subtle.generateKey(RSA, true, ['sign', 'verify']);
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey));
  const name = encodeName({ commonName });
  const der = await createCertificate({
    subject: name,
    issuer: name,
    serial: '01',
    notBefore: new Date('2020-01-01T00:00:00Z'),
    notAfter: new Date('2040-01-01T00:00:00Z'),
    publicKey: spki,
    signer: pair.privateKey,
    extensions: [basicConstraintsExtension({ ca })],
  });
  return { pair, der, spki };
}

const std = (der: Uint8Array): string => Buffer.from(der).toString('base64');
const policyPayload = (text: string): string =>
  JSON.stringify({ AttestationPolicy: b64(encodeUtf8(text)) });
const signed = (
  { pair, der }: Signer,
  payload: string,
  header: JsonObject = { x5c: [std(der)] },
): Promise<string> => signJws({ alg: 'RS256', key: pair.privateKey, header, payload });
const raw = (header: JsonValue, payload: string, signature = ''): string =>
  [JSON.stringify(header), payload, signature].map((part) => b64(encodeUtf8(part))).join('.');

const certificatePayload = (der: Uint8Array, claim = 'policyCertificate'): string =>
  JSON.stringify({ [claim]: { kty: 'RSA', x5c: [std(der)] } });

const bearer = (token: string) => ({ headers: { authorization: token } });
const put = (body: string): RequestInit => ({ method: 'PUT', body });
const send = (body: string): RequestInit => ({ method: 'POST', body });

async function make(changes: Partial<AppDeps> = {}) {
  const made = await makeDeps(changes);
  return { app: createApp(made.deps), ...made };
}
const claimsOf = async (answer: Response): Promise<JsonObject> => {
  const token = await tokenOf(answer);
  assert.ok((await verifyJws(token, { key: key.jwk, algs: ['RS256'] })).ok);
  const { iat, nbf, exp, iss, ...claims } = payloadOf(token);
  const at = RECORDED.getTime() / 1000;
  assert.deepEqual([iss, iat, nbf, exp], [BASE_URL, at, at, at + 3600]);
  return claims;
};

describe('policies', async () => {
  const { app, lines } = await make();
  const signer = await makeSigner('someone', false);
  const policy = `/policies/SgxEnclave${V}`;
  const jws = unsecuredPolicy(TEXT);

  it('are set, got as they were set, and reset', async () => {
    assert.deepEqual(await claimsOf(await app.request(policy, put(jws))), {
      'x-ms-policy-result': 'Updated',
      'x-ms-policy-token-hash': 'c6sEJQItV50OeP9IrP_bzywAMOVvj5uDPbklA_bwdYQ',
    });
    assert.deepEqual(await claimsOf(await app.request(policy)), { 'x-ms-policy': jws });
    const reset = await app.request(`/Policies/sgxenclave:RESET${V}`, send(RESET));
    assert.deepEqual(await claimsOf(reset), { 'x-ms-policy-result': 'Removed' });
    const { 'x-ms-policy': now } = await claimsOf(await app.request(policy));
    assert.notEqual(now, jws);
    assert.deepEqual(await claimsOf(await app.request(`/policies/Tpm${V}`)), {
      'x-ms-policy': 'eyJhbGciOiJub25lIn0..',
    });
  });

  it('may be signed by any key, in x5c or jwk, whatever the header looks like', async () => {
    const { n = '', e = '' } = jwkFromSpki(signer.spki);
    const common = { alg: 'RS256', kty: 'RSA', use: 'sig' };
    const cases = [
      [{ x5c: [std(signer.der)] }, { ...common, x5c: [std(signer.der)] }],
      [{ typ: 'other', x5c: [std(signer.der), std(signer.der)] }, undefined],
      [{ jwk: { kty: 'RSA', n, e } }, { ...common, n, e }],
    ] as const;
    for (const [header, expected] of cases) {
      const document = await signed(signer, policyPayload(TEXT), header as unknown as JsonObject);
      const claims = await claimsOf(await app.request(policy, put(document)));
      if (expected !== undefined) assert.deepEqual(claims['x-ms-policy-signer'], expected);
      assert.deepEqual(await claimsOf(await app.request(policy)), { 'x-ms-policy': document });
    }
    const reset = await signed(signer, '');
    await claimsOf(await app.request(`/policies/SgxEnclave:reset${V}`, send(reset)));
  });

  it('are taken in quotation marks, as a sample tool sends them, and hashed with them', async () => {
    const quoted = unsecuredPolicy(JSON.stringify(TEXT.replaceAll(' ', '\n')));
    const claims = await claimsOf(await app.request(policy, put(quoted)));
    assert.equal(claims['x-ms-policy-result'], 'Updated');
    await app.request(`/policies/SgxEnclave:reset${V}`, send(RESET));
  });

  const payload = policyPayload(TEXT);
  const refused: Readonly<Record<string, () => Promise<[string, string, RegExp]>>> = {
    'text that is no JWT': async () => [
      'nothing',
      'InvalidOperation',
      /^Malformed JWT: Could not find first period in the token$/,
    ],
    'a JWT of two parts': async () => ['a.b', 'InvalidOperation', /second period/],
    'a header that is no JSON': async () => [
      `${b64(encodeUtf8('x'))}.${b64(encodeUtf8(payload))}.`,
      'InvalidOperation',
      /Malformed JWT/,
    ],
    'alg none with a signature': async () => [
      raw({ alg: 'none' }, payload, 'x'),
      'InvalidOperation',
      /empty signature/,
    ],
    'the misspelt algorithm of the documentation': async () => [
      raw({ alg: 'RSA256' }, payload, 'x'),
      'InvalidOperation',
      /algorithm/,
    ],
    'a signed JWT without a key': async () => [
      await signed(signer, payload, {}),
      'InvalidOperation',
      /x5c or jwk/,
    ],
    'a signature of another key': async () => {
      const other = await makeSigner('other');
      const x5c = { x5c: [std(other.der)] };
      return [await signed(signer, payload, x5c), 'InvalidOperation', /does not verify/];
    },
    'a critical header': async () => [
      await signed(signer, payload, { x5c: [std(signer.der)], crit: ['exp'] }),
      'InvalidOperation',
      /critical_header/,
    ],
    'an x5c that is no certificate': async () => [
      await signed(signer, payload, { x5c: ['AAAA'] }),
      'InvalidParameter',
      /certificate chain of the signer is invalid/,
    ],
    'an x5c that is no list': async () => [
      await signed(signer, payload, { x5c: std(signer.der) }),
      'InvalidOperation',
      /list of certificates/,
    ],
    'a payload without a policy': async () => [
      raw({ alg: 'none' }, '{"Policy":"x"}'),
      'InvalidOperation',
      /AttestationPolicy/,
    ],
    'a policy that is no base64': async () => [
      raw({ alg: 'none' }, '{"AttestationPolicy":"a b"}'),
      'InvalidOperation',
      /Unknown base64 character: 32/,
    ],
    'a policy that is no UTF-8': async () => [
      raw({ alg: 'none' }, JSON.stringify({ AttestationPolicy: b64(Uint8Array.of(0xff)) })),
      'InvalidOperation',
      /not UTF-8/,
    ],
    'a policy that cannot be read': async () => [
      unsecuredPolicy('version=1.0\n[type=="x"] => permit();'),
      'PolicyParsingError',
      /Line: '2', Column: '1'/,
    ],
  };
  for (const [what, prepare] of Object.entries(refused))
    it(`refuses ${what}, and leaves what is in force`, async () => {
      const [document, code, message] = await prepare();
      const error = await errorOf(await app.request(policy, put(document)));
      assert.deepEqual([error.status, error.code], [400, code]);
      assert.match(error.message, message);
    });

  it('refuses a reset with a payload, and a missing api-version', async () => {
    const path = `/policies/SgxEnclave:reset${V}`;
    const error = await errorOf(await app.request(path, send(raw({ alg: 'none' }, '{}'))));
    assert.equal(error.code, 'InvalidOperation');
    for (const init of [{}, put(jws)])
      assert.equal(
        (await errorOf(await app.request('/policies/SgxEnclave', init))).code,
        'InvalidParameter',
      );
  });

  it('keeps no text of a policy in its log', () => {
    assert.ok(!lines.join('').includes('authorizationrules'));
    assert.match(lines.join(''), /"event":"managed","operation":"set-policy","code":"done"/);
  });
});

describe('an isolated instance', async () => {
  const signer = await makeSigner('first');
  const second = await makeSigner('second');
  const { app, state, deps } = await make();
  await state.setSigners([signer.der], 0);
  const change = async (verb: 'add' | 'remove', body: string): Promise<Response> =>
    app.request(`/certificates:${verb}${V}`, send(body));

  it('takes policies and resets from its signers alone', async () => {
    const path = `/policies/SgxEnclave${V}`;
    for (const document of [unsecuredPolicy(TEXT), await signed(second, policyPayload(TEXT))])
      assert.equal(
        (await errorOf(await app.request(path, put(document)))).code,
        'InvalidOperation',
      );
    await claimsOf(await app.request(path, put(await signed(signer, policyPayload(TEXT)))));
    const reset = `/policies/SgxEnclave:reset${V}`;
    assert.equal((await errorOf(await app.request(reset, send(RESET)))).code, 'InvalidOperation');
    await claimsOf(await app.request(reset, send(await signed(signer, ''))));
  });

  it('lists its signers, adds to them and takes them away, whatever the body looks like', async () => {
    const add = await signed(signer, certificatePayload(second.der));
    const remove = await signed(signer, certificatePayload(second.der, 'aas-policyCertificate'));
    const bodies = [
      [JSON.stringify(add), JSON.stringify(remove)],
      [
        JSON.stringify({ policyCertificateToAdd: add }),
        JSON.stringify({ policyCertificateToRemove: remove }),
      ],
      [add, remove],
    ];
    for (const [adding = '', removing = ''] of bodies) {
      for (let twice = 0; twice < 2; twice++) {
        const added = await claimsOf(await change('add', adding));
        assert.equal(added['x-ms-policycertificates-result'], 'IsPresent');
      }
      const listed = await claimsOf(await app.request(`/certificates${V}`));
      assert.deepEqual(listed, {
        'x-ms-policy-certificates': {
          keys: [signer, second].map(({ der }) => ({
            alg: 'RS256',
            kty: 'RSA',
            use: 'sig',
            x5c: [std(der)],
          })),
        },
      });
      for (let twice = 0; twice < 2; twice++) {
        const removed = await claimsOf(await change('remove', removing));
        assert.equal(removed['x-ms-policycertificates-result'], 'IsAbsent');
      }
    }
  });

  it('refuses what its signers did not sign, the last one, and a root that is no CA', async () => {
    const noCa = await makeSigner('no CA', false);
    const cases = [
      ['add', await signed(second, certificatePayload(second.der)), 'InvalidOperation'],
      ['add', raw({ alg: 'none' }, certificatePayload(second.der)), 'InvalidOperation'],
      ['remove', await signed(signer, certificatePayload(signer.der)), 'InvalidOperation'],
      ['add', await signed(signer, certificatePayload(noCa.der)), 'InvalidParameter'],
      ['add', await signed(signer, '{}'), 'InvalidOperation'],
      ['add', await signed(signer, certificatePayload(Uint8Array.of(1))), 'InvalidParameter'],
      ['add', '{"other":"x"}', 'InvalidOperation'],
      ['add', '"', 'InvalidOperation'],
    ] as const;
    for (const [verb, body, code] of cases)
      assert.equal((await errorOf(await change(verb, body))).code, code, body.slice(0, 40));
  });

  it('decides anew where another change came in between, and gives up at last', async () => {
    let interfere = 1;
    const racing: StateStore = {
      ...state,
      setPolicy: async (type, jws, expected, record) => {
        if (interfere-- > 0) await state.setPolicy(type, undefined, expected, record);
        return state.setPolicy(type, jws, expected, record);
      },
    };
    const other = createApp({ ...deps, state: racing });
    const path = `/policies/TdxVm${V}`;
    const document = await signed(signer, policyPayload(TEXT));
    await claimsOf(await other.request(path, put(document)));
    interfere = 100;
    const { status, code } = await errorOf(await other.request(path, put(document)));
    assert.deepEqual([status, code], [409, 'Conflict']);
  });
});

describe('the right to manage', async () => {
  const { app, lines } = await make({ authorize: holderOf('right') });
  const calls = [
    ['GET', '/policies/SgxEnclave'],
    ['PUT', '/policies/SgxEnclave'],
    ['POST', '/policies/SgxEnclave:reset'],
    ['GET', '/certificates'],
    ['POST', '/certificates:add'],
    ['POST', '/certificates:remove'],
    ['POST', '/keys:rotate'],
    ['GET', '/audit'],
  ] as const;

  it('is needed for each call, and missing gives 401', async () => {
    for (const [method, path] of calls)
      for (const header of [{}, bearer('Bearer wrong'), bearer('right'), bearer('Bearer ')]) {
        const { status, code } = await errorOf(
          await app.request(`${path}${V}`, { method, ...header }),
        );
        assert.deepEqual([status, code], [401, 'Unauthorized'], path);
      }
    assert.match(lines.join(''), /"operation":"set-policy","code":"bad_bearer"/);
  });

  it('is whose token it is', async () => {
    await claimsOf(await app.request(`/policies/SgxEnclave${V}`, bearer('Bearer right')));
  });

  it('is nobody’s where there is no identity provider', async () => {
    const closed = await make({ authorize: nobody });
    const answer = await closed.app.request(`/policies/SgxEnclave${V}`, bearer('Bearer right'));
    assert.equal((await errorOf(answer)).status, 401);
  });

  it('is not asked for where anonymous callers are allowed', async () => {
    for (const path of ['/certs', '/.well-known/openid-configuration'])
      assert.equal((await app.request(path)).status, 200);
  });
});

describe('the audit', async () => {
  const { app } = await make();
  const jws = unsecuredPolicy(TEXT);

  it('has every call, refused ones too, in a chain', async () => {
    await app.request(`/policies/SgxEnclave${V}`);
    await app.request(`/policies/SgxEnclave${V}`, put(jws));
    await app.request(`/policies/SgxEnclave${V}`, put('nothing'));
    await app.request(`/policies/OpenEnclave:reset${V}`, send(RESET));
    await app.request(`/certificates:add${V}`, send(jws));
    const answer = await app.request(`/audit${V}`);
    const { records } = (await answer.json()) as {
      records: Parameters<typeof chainHash>[2][] & { position: number; hash: string }[];
    };
    assert.deepEqual(
      records.map(({ operation, subject, outcome }) => [operation, subject, outcome]),
      [
        ['get-policy', 'SgxEnclave', 'done'],
        ['set-policy', 'SgxEnclave', 'done'],
        ['set-policy', 'SgxEnclave', 'bad_jws'],
        ['reset-policy', 'OpenEnclave', 'done'],
        ['add-certificate', 'certificates', 'not_isolated'],
      ],
    );
    let before = '';
    for (const record of records) {
      assert.equal(record.hash, chainHash(before, record.position, record));
      before = record.hash;
    }
    const later = await app.request(`/audit${V}&after=4`);
    assert.equal(((await later.json()) as { records: unknown[] }).records.length, 1);
    assert.equal((await app.request(`/audit${V}&after=x`)).status, 400);
  });

  it('has rotations of the key', async () => {
    const answer = await app.request(`/keys:rotate${V}`, { method: 'POST' });
    assert.equal(((await answer.json()) as { kid: string }).kid, key.kid);
    const { records } = (await (await app.request(`/audit${V}&after=5`)).json()) as {
      records: { operation: string }[];
    };
    assert.deepEqual(
      records.map(({ operation }) => operation),
      ['rotate-key'],
    );
  });
});

it('management tokens have the header of all tokens', async () => {
  const { app } = await make();
  const { header } = parseJws(await tokenOf(await app.request(`/policies/SgxEnclave${V}`)));
  assert.deepEqual(header, { alg: 'RS256', jku: `${BASE_URL}/certs`, kid: key.kid, typ: 'JWT' });
});
