import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import {
  canonicalJson,
  encodeBase64url,
  encodeUtf8,
  parseJson,
  type JsonObject,
} from '@cloister/bytes';
import { jwkThumbprint, signJws, type Jwk } from '@cloister/crypto';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { makeP256, publicJwk } from '../peer/scene.test.ts';
import { claimsOfToken } from './claims-of-token.ts';
import { parseIssuerKeys } from './parse-issuer-keys.ts';
import { signToken } from './sign-token.ts';
import { verifyToken } from './verify-token.ts';

const AT = new Date('2026-11-24T12:00:00Z');
const NOW = AT.getTime() / 1000;
const ISS = 'https://attest.example';
const PAYLOAD = { iss: ISS, iat: NOW, nbf: NOW, exp: NOW + 28_800, 'x-ms-ver': '1.0' };

let ec: CryptoKeyPair;
let rsa: CryptoKeyPair;
let evil: CryptoKeyPair;
let keys: readonly Jwk[];
before(async () => {
  [ec, rsa, evil] = await Promise.all([makeP256(), makeSigningRsa(2048), makeP256()]);
  keys = [await publicJwk(ec, { kid: 'ec' }), await publicJwk(rsa, { kid: 'rsa/+=' })];
});

function makeSigningRsa(modulusLength: number): Promise<CryptoKeyPair> {
  const publicExponent = Uint8Array.of(1, 0, 1);
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', modulusLength, publicExponent, hash: 'SHA-256' };
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

const verify = (token: string, at: Date = AT, toleranceSeconds = 0) =>
  verifyToken(token, { issuers: [{ iss: ISS, keys }], at, toleranceSeconds });

async function codeOf(token: string, at?: Date, tolerance?: number): Promise<string> {
  const result = await verify(token, at, tolerance);
  const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
  assert.equal(failed.length, result.ok ? 0 : 1, 'one check alone says no');
  assert.equal(result.checks.length, 11, 'every check is listed');
  return result.ok ? 'ok' : result.code;
}

const sign = (payload: JsonObject, header: JsonObject = {}, key = ec): Promise<string> =>
  signJws({
    alg: 'ES256',
    key: key.privateKey,
    header: { kid: 'ec', typ: 'JWT', ...header },
    payload: encodeUtf8(canonicalJson(payload)),
  });

/** A token whose parts were written by hand, as an attacker would. */
const compact = (header: JsonObject, payload: JsonObject, signature = ''): string =>
  `${encodeBase64url(encodeUtf8(JSON.stringify(header)))}.${encodeBase64url(encodeUtf8(JSON.stringify(payload)))}.${signature}`;

describe('verifyToken', () => {
  it('takes RS256 and ES256 by pinned keys', async () => {
    for (const [alg, key, kid] of [
      ['ES256', ec, 'ec'],
      ['RS256', rsa, 'rsa/+='],
    ] as const) {
      const token = await signToken({
        payload: PAYLOAD,
        key: key.privateKey,
        kid,
        jku: `${ISS}/certs`,
        alg,
      });
      const result = await verify(token);
      assert.ok(result.ok);
      assert.equal(result.claims.issuer, ISS);
      assert.equal(result.claims.keyThumbprint, await jwkThumbprint(await publicJwk(key)));
      assert.deepEqual(result.claims.payload, PAYLOAD);
      assert.equal(result.claims.expires.getTime(), (NOW + 28_800) * 1000);
    }
  });

  it('has the header of Azure Attestation', async () => {
    const options = { payload: PAYLOAD, key: rsa.privateKey, kid: 'k', jku: 'j' };
    const token = await signToken({ ...options, alg: 'RS256' });
    const header: unknown = JSON.parse(
      Buffer.from(token.split('.')[0] ?? '', 'base64url').toString(),
    );
    assert.deepEqual(header, { alg: 'RS256', jku: 'j', kid: 'k', typ: 'JWT' });
  });

  it('allows clocks to differ by a minute, and no more, unless told', async () => {
    const token = await sign(PAYLOAD);
    const issuers = [{ iss: ISS, keys }];
    const ok = async (seconds: number) =>
      (await verifyToken(token, { issuers, at: new Date((NOW + seconds) * 1000) })).ok;
    assert.deepEqual(
      [await ok(-61), await ok(-60), await ok(28_859), await ok(28_860)],
      [false, true, true, false],
    );
  });
});

describe('verifyToken refuses', () => {
  it('alg none, in any spelling', async () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE', ''])
      assert.equal(await codeOf(compact({ alg, kid: 'ec' }, PAYLOAD)), 'token_alg');
    assert.equal(await codeOf(compact({ kid: 'ec' }, PAYLOAD)), 'token_malformed');
  });

  it('HS256 under the public key as a secret', async () => {
    const header = { alg: 'HS256', kid: 'ec', typ: 'JWT' };
    const input = compact(header, PAYLOAD).slice(0, -1);
    const secret = encodeUtf8(JSON.stringify(keys[0]));
    const algorithm = { name: 'HMAC', hash: 'SHA-256' };
    const key = await crypto.subtle.importKey('raw', secret, algorithm, false, ['sign']);
    const mac = await crypto.subtle.sign('HMAC', key, encodeUtf8(input));
    const token = `${input}.${encodeBase64url(new Uint8Array(mac))}`;
    assert.equal(await codeOf(token), 'token_alg');
  });

  it('an algorithm that its key does not have', async () => {
    assert.equal(await codeOf(await sign(PAYLOAD, { kid: 'rsa/+=' })), 'token_kid_unknown');
  });

  it('a key that the token brings along', async () => {
    const jwk = (await publicJwk(evil)) as JsonObject;
    assert.equal(await codeOf(await sign(PAYLOAD, { jwk }, evil)), 'token_key_embedded');
    assert.equal(await codeOf(await sign(PAYLOAD, { x5c: ['MII='] }, evil)), 'token_key_embedded');
    const x5u = 'https://evil.example/chain';
    assert.equal(await codeOf(await sign(PAYLOAD, { x5u }, evil)), 'token_key_embedded');
  });

  it('a key at an address that the token names', async () => {
    const jku = 'https://evil.example/certs';
    assert.equal(await codeOf(await sign(PAYLOAD, { jku }, evil)), 'token_signature');
    assert.equal(
      await codeOf(await sign(PAYLOAD, { jku, kid: 'evil' }, evil)),
      'token_kid_unknown',
    );
  });

  it('a token that does not name its key', async () => {
    const payload = encodeUtf8(canonicalJson(PAYLOAD));
    const token = await signJws({ alg: 'ES256', key: ec.privateKey, header: {}, payload });
    assert.equal(await codeOf(token), 'token_kid_missing');
    assert.equal(await codeOf(await sign(PAYLOAD, { kid: '' })), 'token_kid_missing');
    assert.equal(await codeOf(await sign(PAYLOAD, { kid: 7 })), 'token_kid_missing');
  });

  it('a signature made for another purpose', async () => {
    const receipt = await sign(PAYLOAD, { typ: 'cloister-receipt+jwt' });
    assert.equal(await codeOf(receipt), 'token_type');
  });

  it('a critical extension', async () => {
    assert.equal(await codeOf(await sign(PAYLOAD, { crit: ['x'], x: 1 })), 'token_signature');
  });

  it('an expired token', async () => {
    const token = await sign(PAYLOAD);
    assert.equal(await codeOf(token, new Date((NOW + 28_799) * 1000)), 'ok');
    assert.equal(await codeOf(token, new Date((NOW + 28_800) * 1000)), 'token_expired');
    assert.equal(await codeOf(token, new Date(Number.NaN)), 'token_expired');
  });

  it('a token without an expiry', async () => {
    const { exp: _, ...payload } = PAYLOAD;
    assert.equal(await codeOf(await sign(payload)), 'token_no_expiry');
    assert.equal(await codeOf(await sign({ ...payload, exp: '9999999999' })), 'token_no_expiry');
  });

  it('a token that is not valid yet, or was issued in the future', async () => {
    const token = await sign({ ...PAYLOAD, nbf: NOW + 1 });
    assert.equal(await codeOf(token), 'token_not_yet_valid');
    assert.equal(await codeOf(token, AT, 1), 'ok');
    assert.equal(await codeOf(await sign({ ...PAYLOAD, iat: NOW + 1 })), 'token_not_yet_valid');
    assert.equal(await codeOf(await sign({ ...PAYLOAD, nbf: 'now' })), 'token_not_yet_valid');
  });

  it('another issuer, or one that only looks alike', async () => {
    for (const iss of ['https://evil.example', `${ISS}/`, ISS.toUpperCase(), [ISS], null])
      assert.equal(await codeOf(await sign({ ...PAYLOAD, iss })), 'token_issuer');
  });

  it('the key of one issuer under the name of another', async () => {
    const issuers = [
      { iss: ISS, keys },
      { iss: 'https://other.example', keys: [await publicJwk(evil, { kid: 'evil' })] },
    ];
    const token = await sign(PAYLOAD, { kid: 'evil' }, evil);
    const result = await verifyToken(token, { issuers, at: AT });
    assert.equal(result.ok ? 'ok' : result.code, 'token_kid_unknown');
  });

  it('a weak RSA key, even a pinned one', async () => {
    const weak = await makeSigningRsa(1024);
    const header = encodeBase64url(encodeUtf8('{"alg":"RS256","kid":"weak","typ":"JWT"}'));
    const body = encodeBase64url(encodeUtf8(canonicalJson(PAYLOAD)));
    const data = encodeUtf8(`${header}.${body}`);
    const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', weak.privateKey, data);
    const token = `${header}.${body}.${encodeBase64url(new Uint8Array(signature))}`;
    const issuers = [{ iss: ISS, keys: [await publicJwk(weak, { kid: 'weak' })] }];
    const result = await verifyToken(token, { issuers, at: AT });
    assert.equal(result.ok ? 'ok' : result.code, 'token_signature');
  });

  it('a key that is for encryption', async () => {
    const issuers = [{ iss: ISS, keys: [{ ...keys[0], use: 'enc' } as Jwk] }];
    const result = await verifyToken(await sign(PAYLOAD), { issuers, at: AT });
    assert.equal(result.ok ? 'ok' : result.code, 'token_kid_unknown');
  });

  it('a payload that is no JSON object, or has a member twice', async () => {
    for (const text of ['[]', '1', '{"iss":"a","iss":"b"}', '{', '\ufeff{}']) {
      const header = { kid: 'ec' };
      const token = await signJws({ alg: 'ES256', key: ec.privateKey, header, payload: text });
      assert.equal(await codeOf(token), 'token_malformed');
    }
  });

  it('what is no token at all', async () => {
    for (const text of [
      '',
      '.',
      '..',
      'a.b',
      'a.b.c',
      'a.b.c.d.e',
      ' '.repeat(10),
      'x'.repeat(70_000),
    ])
      assert.equal(await codeOf(text), 'token_malformed');
  });

  it('every shorter prefix of a good token', async () => {
    const token = await sign(PAYLOAD);
    for (let length = 0; length < token.length; length += 3)
      assert.notEqual(await codeOf(token.slice(0, length)), 'ok');
  });
});

const read = (path: string) => readFileSync(shared(`vectors/maa/${path}`), 'utf8').trim();

const recordedKeys = () => parseIssuerKeys(parseJson(read('tokens/certs-shared.json')));

describe('recorded tokens of Azure Attestation', { skip: sharedMissing }, () => {
  const at = new Date(1_654_037_300_000);
  const iss = 'https://sharedwus.wus.attest.azure.net';
  const verifyRecorded = (name: string, when = at) =>
    verifyToken(read(`tokens/${name}.jwt`), { issuers: [{ iss, keys: recordedKeys() }], at: when });

  for (const name of [
    'sgx-simple-shared',
    'sgx-runtimedata-json-shared',
    'oe-runtimedata-binary-shared',
  ]) {
    it(`${name} verifies at its time, and tells what the enclave is`, async () => {
      const result = await verifyRecorded(name);
      assert.ok(result.ok);
      const claims = claimsOfToken(result.claims.payload);
      assert.ok(claims.tee === 'sgx');
      assert.equal(claims.type, 'sgx');
      assert.equal(claims.simulated, false);
      assert.equal(claims.debug, true);
      assert.match(claims.mrenclave, /^292a1f4b519e4662/u);
      assert.match(claims.mrsigner, /^4aea5f9a0ed04b11/u);
      assert.equal(claims.isvProdId, 1);
      assert.equal(claims.policyHash, 'bROrN897ZfWmWY2V0FLUlu3uwk5xatGnKYHn3zBbSlw');
      assert.equal(claims.runtime !== undefined, name.includes('json'));
    });
  }

  it('are refused today', async () => {
    const result = await verifyRecorded('sgx-simple-shared', AT);
    assert.equal(result.ok ? 'ok' : result.code, 'token_expired');
  });

  it('the one of a draft policy has no signature and is refused', async () => {
    const result = await verifyRecorded('sgx-draftpolicy-unsecured-shared');
    assert.equal(result.ok ? 'ok' : result.code, 'token_alg');
  });

  it('a policy of another document kind is a token without evidence', async () => {
    const result = await verifyRecorded('policy-get-sgx-shared');
    assert.ok(result.ok);
    const { payload } = result.claims;
    assert.throws(() => claimsOfToken(payload), { where: 'token: /x-ms-attestation-type' });
  });
});
