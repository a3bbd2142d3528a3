import assert from 'node:assert/strict';
import {
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
} from 'node:crypto';
import { describe, it } from 'node:test';
import { encodeBase64url, encodeUtf8, MalformedError, type JsonObject } from '@cloister/bytes';
import { decryptJwe, type Jwk } from '@cloister/crypto';
import { publicJwk, random, rsa } from '../scene-keys.test.ts';
import {
  concatKdf,
  encryptToTee,
  importAgreementKey,
  type FlattenedJwe,
} from './encrypt-to-tee.ts';

const SECRET = encodeUtf8('a secret of the hospital');

async function ec(namedCurve: 'P-256' | 'P-384') {
  const pair = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve }, true, ['deriveBits']);
  const {
    kty = '',
    crv = '',
    x = '',
    y = '',
    d = '',
  } = await crypto.subtle.exportKey('jwk', pair.privateKey);
  return { jwk: { kty, crv, x, y } satisfies Jwk, d };
}

function lengthOf(n: number): Buffer {
  return Buffer.from([0, 0, n >> 8, n & 0xff]);
}

/** ECDH-ES+A256KW by OpenSSL alone, as a client of Trustee's opens what it gets. */
function openByOpenSsl(jwe: FlattenedJwe, key: JsonObject): Buffer {
  const bytes = (name: keyof FlattenedJwe): Buffer => Buffer.from(jwe[name], 'base64url');
  const header = JSON.parse(bytes('protected').toString()) as {
    alg: string;
    enc: string;
    epk: object;
  };
  assert.deepEqual([header.alg, header.enc], ['ECDH-ES+A256KW', 'A256GCM']);
  const secret = diffieHellman({
    privateKey: createPrivateKey({ key: { ...key }, format: 'jwk' }),
    publicKey: createPublicKey({ key: { ...header.epk }, format: 'jwk' }),
  });
  const hash = createHash('sha256').update(lengthOf(1)).update(secret);
  hash
    .update(lengthOf(header.alg.length))
    .update(header.alg)
    .update(lengthOf(0))
    .update(lengthOf(0));
  const kek = hash.update(lengthOf(256)).digest();
  const unwrap = createDecipheriv('id-aes256-wrap', kek, Buffer.alloc(8, 0xa6));
  const contentKey = Buffer.concat([unwrap.update(bytes('encrypted_key')), unwrap.final()]);
  const open = createDecipheriv('aes-256-gcm', contentKey, bytes('iv'));
  open.setAAD(Buffer.from(jwe.protected)).setAuthTag(bytes('tag'));
  return Buffer.concat([open.update(bytes('ciphertext')), open.final()]);
}

describe('encryptToTee', () => {
  for (const curve of ['P-256', 'P-384'] as const)
    it(`encrypts to ${curve} what OpenSSL opens with that key, and with no other`, async () => {
      const [one, other] = [await ec(curve), await ec(curve)];
      const jwe = await encryptToTee(one.jwk, SECRET, random);
      assert.deepEqual(new Uint8Array(openByOpenSsl(jwe, { ...one.jwk, d: one.d })), SECRET);
      assert.throws(() => openByOpenSsl(jwe, { ...other.jwk, d: other.d }));
      assert.throws(() => openByOpenSsl({ ...jwe, tag: 'A'.repeat(22) }, { ...one.jwk, d: one.d }));
      const again = await encryptToTee(one.jwk, SECRET, random);
      assert.notEqual(again.protected, jwe.protected, 'an ephemeral key each time');
    });

  it('encrypts to RSA as before', async () => {
    const keys = await rsa();
    const jwe = await encryptToTee(await publicJwk(keys), SECRET, random);
    const parts = [jwe.protected, jwe.encrypted_key, jwe.iv, jwe.ciphertext, jwe.tag];
    const opened = await decryptJwe(parts.join('.'), { key: keys.privateKey });
    assert.ok(opened.ok);
    assert.deepEqual(opened.plaintext, SECRET);
  });
});

describe('importAgreementKey', () => {
  it('refuses other curves, short coordinates, and points off their curve', async () => {
    const { jwk } = await ec('P-256');
    const off = encodeBase64url(new Uint8Array(32).fill(1));
    for (const bad of [
      { ...jwk, crv: 'P-521' },
      { ...jwk, crv: 'P-384' },
      { ...jwk, x: jwk.x.slice(2) },
      { ...jwk, y: off },
      { kty: 'EC', crv: 'P-256' },
      { ...jwk, kty: 'OKP' },
    ])
      await assert.rejects(importAgreementKey(bad), MalformedError);
  });
});

describe('concatKdf', () => {
  it('gives the key of RFC 7518, appendix C', async () => {
    const secret = Uint8Array.of(
      158,
      86,
      217,
      29,
      129,
      113,
      53,
      211,
      114,
      131,
      66,
      131,
      191,
      132,
      38,
      156,
      251,
      49,
      110,
      163,
      218,
      128,
      106,
      72,
      246,
      218,
      167,
      121,
      140,
      254,
      144,
      196,
    );
    const derived = await concatKdf({
      secret,
      algorithm: 'A128GCM',
      bits: 128,
      apu: encodeUtf8('Alice'),
      apv: encodeUtf8('Bob'),
    });
    assert.equal(encodeBase64url(derived), 'VqqN6vgjbSBcIijNcacQGg');
  });

  it('gives no more than one round', async () => {
    const input = { secret: new Uint8Array(32), algorithm: 'x', bits: 512 };
    await assert.rejects(concatKdf(input), RangeError);
  });
});
