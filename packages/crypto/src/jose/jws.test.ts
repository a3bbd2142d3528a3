import assert from 'node:assert/strict';
import {
  createSign,
  generateKeyPairSync,
  sign as nodeSign,
  verify as nodeVerify,
} from 'node:crypto';
import { before, describe, it } from 'node:test';
import {
  decodeUtf8,
  encodeBase64url,
  encodeUtf8,
  MalformedError,
  type JsonObject,
} from '@cloister/bytes';
import * as fc from 'fast-check';
import { createKeyCache } from '../x509/verify-key.ts';
import { jwkFromSpki, type Jwk } from './jwk.ts';
import { parseJws, signJws, verifyJws } from './jws.ts';

const EC = { name: 'ECDSA', namedCurve: 'P-256' };
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
};
const generate = (algorithm: EcKeyGenParams | RsaHashedKeyGenParams) =>
  crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
const part = (text: string) => encodeBase64url(encodeUtf8(text));
const publicJwk = async (keys: CryptoKeyPair): Promise<Jwk> =>
  jwkFromSpki(new Uint8Array(await crypto.subtle.exportKey('spki', keys.publicKey)));

let ec: CryptoKeyPair;
let rsa: CryptoKeyPair;
let ecJwk: Jwk;
let rsaJwk: Jwk;
before(async () => {
  [ec, rsa] = await Promise.all([generate(EC), generate(RSA)]);
  [ecJwk, rsaJwk] = await Promise.all([publicJwk(ec), publicJwk(rsa)]);
});

/** A JWS with any header, signed with the EC key all the same. */
async function forge(header: JsonObject, payload = 'x'): Promise<string> {
  const input = `${encodeBase64url(encodeUtf8(JSON.stringify(header)))}.${encodeBase64url(encodeUtf8(payload))}`;
  const signature = await crypto.subtle.sign(
    { name: 'ECDSA', hash: 'SHA-256' },
    ec.privateKey,
    encodeUtf8(input),
  );
  return `${input}.${encodeBase64url(new Uint8Array(signature))}`;
}
const codeOf = async (compact: string, more: Partial<Parameters<typeof verifyJws>[1]> = {}) => {
  const verdict = await verifyJws(compact, { key: ecJwk, algs: ['ES256'], ...more });
  return verdict.ok ? 'ok' : verdict.code;
};

describe('signJws and verifyJws', () => {
  it('agree, with a CryptoKey, a JWK and a cache', async () => {
    const cache = createKeyCache();
    for (const [alg, keys, jwk] of [
      ['ES256', ec, ecJwk],
      ['RS256', rsa, rsaJwk],
    ] as const) {
      const compact = await signJws({
        alg,
        key: keys.privateKey,
        header: { typ: 't' },
        payload: 'é',
      });
      for (const key of [keys.publicKey, jwk, { ...jwk, alg, use: 'sig' }]) {
        const verdict = await verifyJws(compact, {
          key,
          algs: ['ES256', 'RS256'],
          typ: 't',
          cache,
        });
        assert.ok(verdict.ok);
        assert.deepEqual(verdict.header, { typ: 't', alg });
        assert.equal(decodeUtf8(verdict.payload), 'é');
      }
    }
  });

  it('agree with node:crypto', async () => {
    const compact = await signJws({ alg: 'ES256', key: ec.privateKey, header: {}, payload: 'x' });
    const { signingInput, signature } = parseJws(compact);
    const spki = Buffer.from(await crypto.subtle.exportKey('spki', ec.publicKey));
    const key = { key: spki, format: 'der', type: 'spki', dsaEncoding: 'ieee-p1363' } as const;
    assert.ok(nodeVerify('sha256', signingInput, key, signature));

    const own = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const input = `${encodeBase64url(encodeUtf8('{"alg":"RS256"}'))}.${encodeBase64url(encodeUtf8('x'))}`;
    const made = createSign('sha256').update(input).sign(own.privateKey);
    const jwk = own.publicKey.export({ format: 'jwk' }) as Jwk;
    assert.equal(
      await codeOf(`${input}.${encodeBase64url(made)}`, { key: jwk, algs: ['RS256'] }),
      'ok',
    );
  });

  it('sign and verify detached payloads', async () => {
    const payload = encodeUtf8('the manifest');
    const compact = await signJws({
      alg: 'ES256',
      key: ec.privateKey,
      header: {},
      payload,
      detached: true,
    });
    assert.equal(compact.split('.')[1], '');
    const verdict = await verifyJws(compact, {
      key: ecJwk,
      algs: ['ES256'],
      detachedPayload: payload,
    });
    assert.ok(verdict.ok);
    assert.deepEqual(verdict.payload, payload);
    assert.equal(
      await codeOf(compact, { detachedPayload: encodeUtf8('another') }),
      'bad_signature',
    );
    assert.equal(await codeOf(compact), 'bad_signature');
  });

  it('refuse a payload inside where a detached one is expected', async () => {
    const compact = await signJws({ alg: 'ES256', key: ec.privateKey, header: {}, payload: 'x' });
    assert.equal(await codeOf(compact, { detachedPayload: encodeUtf8('x') }), 'wrong_payload_form');
  });
});

describe('verifyJws', () => {
  it('refuses alg none, whatever stands in the signature', async () => {
    const head = encodeBase64url(encodeUtf8('{"alg":"none"}'));
    for (const compact of [`${head}.eA.`, `${head}.eA.AAAA`, await forge({ alg: 'None' })]) {
      assert.equal(await codeOf(compact), 'alg_not_allowed');
    }
  });

  it('refuses algorithms that are not in the list, HMAC with the public key first of all', async () => {
    for (const alg of ['HS256', 'ES384', 'RS256', 'PS256', 'EdDSA']) {
      assert.equal(await codeOf(await forge({ alg })), 'alg_not_allowed');
    }
    assert.equal(
      await codeOf(await forge({ alg: 'ES256' }), { algs: ['RS256'] }),
      'alg_not_allowed',
    );
    assert.equal(await codeOf(await forge({ alg: 'ES256' }), { algs: [] }), 'alg_not_allowed');
  });

  it('refuses crit, and b64 without it', async () => {
    assert.equal(
      await codeOf(await forge({ alg: 'ES256', crit: ['exp'], exp: 1 })),
      'critical_header',
    );
    assert.equal(await codeOf(await forge({ alg: 'ES256', crit: [] })), 'critical_header');
    assert.equal(await codeOf(await forge({ alg: 'ES256', b64: false })), 'critical_header');
  });

  it('refuses another typ, another case, and none', async () => {
    assert.equal(await codeOf(await forge({ alg: 'ES256', typ: 'a+jws' }), { typ: 'a+jws' }), 'ok');
    assert.equal(
      await codeOf(await forge({ alg: 'ES256', typ: 'A+JWS' }), { typ: 'a+jws' }),
      'wrong_type',
    );
    assert.equal(
      await codeOf(await forge({ alg: 'ES256', typ: 'b+jws' }), { typ: 'a+jws' }),
      'wrong_type',
    );
    assert.equal(await codeOf(await forge({ alg: 'ES256' }), { typ: 'a+jws' }), 'wrong_type');
  });

  it('does not take keys from the header', async () => {
    const other = await generate(EC);
    const jwk = await publicJwk(other);
    const header = { jwk: { ...jwk }, jku: 'https://evil.example/', x5c: ['AAAA'], kid: '1' };
    const compact = await signJws({ alg: 'ES256', key: other.privateKey, header, payload: 'x' });
    assert.equal(await codeOf(compact), 'bad_signature');
    assert.equal(await codeOf(compact, { key: jwk }), 'ok');
  });

  it('refuses keys that do not fit', async () => {
    const compact = await forge({ alg: 'ES256' });
    const p384 = await generate({ name: 'ECDSA', namedCurve: 'P-384' });
    const pss = await generate({ ...RSA, name: 'RSA-PSS' });
    const short = await generate({ ...RSA, modulusLength: 1024 });
    const sha384 = await generate({ ...RSA, hash: 'SHA-384' });
    for (const key of [
      rsaJwk,
      rsa.publicKey,
      p384.publicKey,
      ec.privateKey,
      await publicJwk(p384),
      { ...ecJwk, use: 'enc' },
      { ...ecJwk, alg: 'RS256' },
      { ...ecJwk, crv: 'P-384' },
      { ...ecJwk, x: `A${ecJwk.x}` },
      { ...ecJwk, x: ecJwk.y ?? '' },
      { kty: 'EC' },
      { kty: 'oct', k: 'AAAA' },
    ]) {
      assert.equal(await codeOf(compact, { key }), 'wrong_key');
    }
    const head = encodeBase64url(encodeUtf8('{"alg":"RS256"}'));
    const rs256 = `${head}.eA.${encodeBase64url(new Uint8Array(256))}`;
    for (const key of [pss.publicKey, short.publicKey, sha384.publicKey, await publicJwk(short)]) {
      assert.equal(await codeOf(rs256, { key, algs: ['RS256'] }), 'wrong_key');
    }
  });

  it('accepts no JWS in which one character is another', async () => {
    const compact = await forge({ alg: 'ES256' });
    for (let at = 0; at < compact.length; at++) {
      const other = compact[at] === 'A' ? 'B' : 'A';
      assert.notEqual(
        await codeOf(compact.slice(0, at) + other + compact.slice(at + 1)),
        'ok',
        `${at}`,
      );
      assert.notEqual(await codeOf(compact.slice(0, at)), 'ok');
    }
  });

  it('refuses DER signatures', async () => {
    const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const input = `${encodeBase64url(encodeUtf8('{"alg":"ES256"}'))}.eA`;
    const der = nodeSign('sha256', Buffer.from(input), own.privateKey);
    const key = own.publicKey.export({ format: 'jwk' }) as Jwk;
    assert.equal(await codeOf(`${input}.${encodeBase64url(der)}`, { key }), 'bad_signature');
  });
});

describe('parseJws', () => {
  const refused: [string, string][] = [
    ['nothing', ''],
    ['two parts', `${part('{"alg":"ES256"}')}.eA`],
    ['four parts', `${part('{"alg":"ES256"}')}.eA.eA.eA`],
    ['a header that is no JSON', `${part('alg')}.eA.eA`],
    ['a header that is an array', `${part('["alg"]')}.eA.eA`],
    ['a header with a name twice', `${part('{"alg":"none","alg":"ES256"}')}.eA.eA`],
    ['a header without alg', `${part('{}')}.eA.eA`],
    ['an alg that is no text', `${part('{"alg":1}')}.eA.eA`],
    ['padded base64url', `${part('{"alg":"ES256"}')}.eA==.eA`],
    ['base64', `${part('{"alg":"ES256"}')}.+/+/.eA`],
    ['bits left over', `${part('{"alg":"ES256"}')}.eB.eA`],
    ['white space', ` ${part('{"alg":"ES256"}')}.eA.eA`],
    ['a deep header', `${part(`{"alg":"ES256","a":${'['.repeat(20)}${']'.repeat(20)}}`)}.eA.eA`],
    ['more than 1 MiB', `${part('{"alg":"ES256"}')}.${'A'.repeat(1 << 20)}.eA`],
    ['a header that is no UTF-8', `${encodeBase64url(Uint8Array.of(0x7b, 0xff, 0x7d))}.eA.eA`],
  ];
  for (const [what, compact] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseJws(compact), MalformedError);
    });
  }

  it('throws nothing but MalformedError', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), fc.json(), (text, json) => {
        for (const compact of [text, `${part(json)}.${text}.${text}`]) {
          try {
            parseJws(compact);
          } catch (error) {
            assert.ok(error instanceof MalformedError);
          }
        }
      }),
    );
  });
});

describe('signJws', () => {
  it('refuses keys that do not sign the algorithm, and two algs', async () => {
    const base = { header: {}, payload: 'x' };
    await assert.rejects(signJws({ ...base, alg: 'RS256', key: ec.privateKey }), TypeError);
    await assert.rejects(signJws({ ...base, alg: 'ES256', key: ec.publicKey }), TypeError);
    const header = { alg: 'none' };
    await assert.rejects(signJws({ ...base, alg: 'ES256', key: ec.privateKey, header }), TypeError);
  });
});
