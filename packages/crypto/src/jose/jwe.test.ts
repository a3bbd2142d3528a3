import assert from 'node:assert/strict';
import { constants, KeyObject, createDecipheriv, privateDecrypt } from 'node:crypto';
import { before, describe, it } from 'node:test';
import {
  decodeBase64url,
  decodeUtf8,
  encodeBase64url,
  encodeUtf8,
  MalformedError,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { decryptJwe, encryptJwe } from './jwe.ts';
import { jwkFromSpki, type Jwk } from './jwk.ts';

const OAEP = {
  name: 'RSA-OAEP',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
};
const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));

let keys: CryptoKeyPair;
let jwk: Jwk;
before(async () => {
  keys = await crypto.subtle.generateKey(OAEP, true, ['encrypt', 'decrypt']);
  jwk = jwkFromSpki(new Uint8Array(await crypto.subtle.exportKey('spki', keys.publicKey)));
});

const seal = (plaintext: string, header: JsonObject = {}) =>
  encryptJwe({ key: jwk, header, plaintext: encodeUtf8(plaintext), random });
const codeOf = async (compact: string, typ?: string) => {
  const options = typ === undefined ? { key: keys.privateKey } : { key: keys.privateKey, typ };
  const result = await decryptJwe(compact, options);
  return result.ok ? 'ok' : result.code;
};
/** The same JWE with another header: what a meddler can do to the first part. */
const withHeader = (compact: string, header: JsonObject) =>
  [encodeBase64url(encodeUtf8(JSON.stringify(header))), ...compact.split('.').slice(1)].join('.');

describe('encryptJwe and decryptJwe', () => {
  it('agree, for texts long and short', async () => {
    for (const text of ['', 'x', 'é'.repeat(5000)]) {
      const result = await decryptJwe(await seal(text, { typ: 't' }), {
        key: keys.privateKey,
        typ: 't',
      });
      assert.ok(result.ok);
      assert.equal(decodeUtf8(result.plaintext), text);
      assert.deepEqual(result.header, { typ: 't', alg: 'RSA-OAEP-256', enc: 'A256GCM' });
    }
  });

  it('agree with node:crypto', async () => {
    const compact = await seal('over there');
    const [head = '', ...texts] = compact.split('.');
    const [encryptedKey, iv, ciphertext, tag] = texts.map((text) => decodeBase64url(text));
    assert.ok(encryptedKey && iv && ciphertext && tag);
    const contentKey = privateDecrypt(
      {
        key: KeyObject.from(keys.privateKey),
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: 'sha256',
      },
      encryptedKey,
    );
    const decipher = createDecipheriv('aes-256-gcm', contentKey, iv);
    decipher.setAAD(Buffer.from(head, 'ascii')).setAuthTag(tag);
    assert.equal(
      `${decipher.update(ciphertext, undefined, 'utf8')}${decipher.final('utf8')}`,
      'over there',
    );
  });
});

describe('decryptJwe', () => {
  it('refuses other algorithms, zip, crit, another typ', async () => {
    const compact = await seal('x', { typ: 't' });
    const good = { alg: 'RSA-OAEP-256', enc: 'A256GCM', typ: 't' };
    assert.equal(await codeOf(withHeader(compact, { ...good, alg: 'RSA1_5' })), 'alg_not_allowed');
    assert.equal(await codeOf(withHeader(compact, { ...good, alg: 'dir' })), 'alg_not_allowed');
    assert.equal(await codeOf(withHeader(compact, { ...good, enc: 'A128GCM' })), 'alg_not_allowed');
    assert.equal(await codeOf(withHeader(compact, { ...good, zip: 'DEF' })), 'critical_header');
    assert.equal(await codeOf(withHeader(compact, { ...good, crit: ['x'] })), 'critical_header');
    assert.equal(await codeOf(compact, 'u'), 'wrong_type');
  });

  it('refuses a header that was not there when it was encrypted', async () => {
    const compact = await seal('x');
    const header = { alg: 'RSA-OAEP-256', enc: 'A256GCM', kid: '1' };
    assert.equal(await codeOf(withHeader(compact, header)), 'decryption_failed');
  });

  it('refuses another key', async () => {
    const other = await crypto.subtle.generateKey(OAEP, true, ['encrypt', 'decrypt']);
    const result = await decryptJwe(await seal('x'), { key: other.privateKey });
    assert.deepEqual(result, { ok: false, code: 'decryption_failed' });
  });

  it('refuses any change of any part, and answers with one code', async () => {
    const parts = (await seal('hello')).split('.');
    for (const [index, text] of parts.entries()) {
      if (index === 0) continue;
      const bytes = decodeBase64url(text);
      for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
        const flipped = bytes.slice();
        flipped[at] = (flipped[at] ?? 0) ^ 1;
        const changed = parts.with(index, encodeBase64url(flipped)).join('.');
        assert.equal(await codeOf(changed), 'decryption_failed', `part ${index}`);
      }
    }
  });

  it('refuses a content key of another length', async () => {
    const parts = (await seal('x')).split('.');
    const wrapped = await crypto.subtle.encrypt(OAEP, keys.publicKey, new Uint8Array(16));
    const changed = parts.with(1, encodeBase64url(new Uint8Array(wrapped))).join('.');
    assert.equal(await codeOf(changed), 'decryption_failed');
  });

  it('refuses other shapes', async () => {
    const compact = await seal('x');
    const parts = compact.split('.');
    for (const text of [
      '',
      'a.b.c',
      `${compact}.x`,
      parts.slice(1).join('.'),
      parts.with(2, 'AAAA').join('.'),
      parts.with(4, 'AAAA').join('.'),
      parts.with(0, encodeBase64url(encodeUtf8('[]'))).join('.'),
      parts.with(3, '*').join('.'),
    ]) {
      assert.equal(await codeOf(text), 'malformed', text);
    }
  });
});

describe('encryptJwe', () => {
  it('refuses keys that are no RSA keys for encryption, and short ones', async () => {
    const short = await crypto.subtle.generateKey({ ...OAEP, modulusLength: 1024 }, true, [
      'encrypt',
      'decrypt',
    ]);
    const shortJwk = jwkFromSpki(
      new Uint8Array(await crypto.subtle.exportKey('spki', short.publicKey)),
    );
    for (const key of [
      { ...jwk, use: 'sig' },
      { ...jwk, alg: 'RSA-OAEP' },
      { kty: 'EC', crv: 'P-256' },
      shortJwk,
    ]) {
      const plaintext = new Uint8Array(1);
      await assert.rejects(encryptJwe({ key, plaintext, random }), MalformedError);
    }
  });

  it('refuses randomness of another length', async () => {
    const input = { key: jwk, plaintext: new Uint8Array(1), random: () => new Uint8Array(4) };
    await assert.rejects(encryptJwe(input), RangeError);
  });
});
