import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { decodeHex, encodeDer, encodeDerOid, MalformedError, type Bytes } from '@cloister/bytes';
import { encodePublicKey, modulusBits, parsePublicKey } from './public-key.ts';
import { createKeyCache, importVerifyKey, verifySignature } from './verify-key.ts';

const spkiOf = (keys: {
  publicKey: { export(o: { type: 'spki'; format: 'der' }): Buffer };
}): Bytes => new Uint8Array(keys.publicKey.export({ type: 'spki', format: 'der' }));
const P256 = spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
const P384 = spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }));
const RSA = spkiOf(generateKeyPairSync('rsa', { modulusLength: 2048 }));
const SHORT = spkiOf(generateKeyPairSync('rsa', { modulusLength: 1024 }));

const head = (point: Bytes) =>
  encodeDer(
    0x30,
    encodeDer(0x30, encodeDerOid('1.2.840.10045.2.1'), encodeDerOid('1.2.840.10045.3.1.7')),
    encodeDer(0x03, Uint8Array.of(0), point),
  );

describe('parsePublicKey', () => {
  it('reads keys that OpenSSL made, and encodePublicKey writes them again', () => {
    for (const spki of [P256, P384, RSA, SHORT]) {
      assert.deepEqual(encodePublicKey(parsePublicKey(spki)), spki);
    }
  });

  it('refuses other algorithms', () => {
    for (const type of ['ed25519', 'x25519'] as const) {
      // @ts-expect-error -- one overload of generateKeyPairSync to a type
      const spki = spkiOf(generateKeyPairSync(type));
      assert.throws(() => parsePublicKey(spki), MalformedError);
    }
    const k256 = spkiOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }));
    assert.throws(() => parsePublicKey(k256), MalformedError);
    const pss = spkiOf(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }));
    assert.throws(() => parsePublicKey(pss), MalformedError);
  });

  it('refuses compressed points and points of another length', () => {
    assert.equal(parsePublicKey(head(P256.slice(-65))).type, 'ec');
    const compressed = P256.slice(-65, -32);
    compressed[0] = 2;
    for (const point of [compressed, P256.slice(-65, -1), Uint8Array.of(0)]) {
      assert.throws(() => parsePublicKey(head(point)), MalformedError);
    }
  });

  it('refuses every shorter prefix and bytes behind', () => {
    for (const spki of [P256, RSA]) {
      for (let length = 0; length < spki.length; length++) {
        assert.throws(() => parsePublicKey(spki.subarray(0, length)), MalformedError);
      }
      assert.throws(() => parsePublicKey(Uint8Array.of(...spki, 0)), MalformedError);
    }
  });

  it('counts the bits of a modulus', () => {
    assert.equal(modulusBits(decodeHex('80')), 8);
    assert.equal(modulusBits(decodeHex('01ff')), 9);
  });
});

describe('importVerifyKey', () => {
  it('refuses keys that do not fit the algorithm', async () => {
    const wrong = [
      [P256, 'ecdsa-sha384'],
      [P384, 'ecdsa-sha256'],
      [P256, 'rsa-pkcs1-sha256'],
      [RSA, 'ecdsa-sha256'],
      [SHORT, 'rsa-pkcs1-sha256'],
      [SHORT, 'rsa-pss-sha384'],
    ] as const;
    for (const [spki, algorithm] of wrong) {
      await assert.rejects(importVerifyKey(spki, algorithm), MalformedError);
    }
  });

  it('refuses a point off its curve', async () => {
    const off = P256.slice();
    off[90] = (off[90] ?? 0) ^ 1;
    await assert.rejects(importVerifyKey(off, 'ecdsa-sha256'), MalformedError);
    const nothing = new Uint8Array(0);
    assert.equal(await verifySignature(off, 'ecdsa-sha256', nothing, nothing), false);
  });
});

describe('createKeyCache', () => {
  it('gives the same key for the same SPKI and algorithm, and another for another algorithm', async () => {
    const cache = createKeyCache();
    const key = await cache.importVerifyKey(P256, 'ecdsa-sha256');
    assert.equal(await cache.importVerifyKey(P256.slice(), 'ecdsa-sha256'), key);
    const [pkcs1, pss] = await Promise.all([
      cache.importVerifyKey(RSA, 'rsa-pkcs1-sha256'),
      cache.importVerifyKey(RSA, 'rsa-pss-sha256'),
    ]);
    assert.notEqual(pkcs1.algorithm.name, pss.algorithm.name);
  });

  it('forgets the key that was used longest ago', async () => {
    const cache = createKeyCache(2);
    const first = await cache.importVerifyKey(P256, 'ecdsa-sha256');
    const second = await cache.importVerifyKey(P384, 'ecdsa-sha384');
    assert.equal(await cache.importVerifyKey(P256, 'ecdsa-sha256'), first);
    await cache.importVerifyKey(RSA, 'rsa-pkcs1-sha256');
    assert.equal(await cache.importVerifyKey(P256, 'ecdsa-sha256'), first);
    assert.notEqual(await cache.importVerifyKey(P384, 'ecdsa-sha384'), second);
  });

  it('does not keep failures', async () => {
    const cache = createKeyCache(1);
    const key = await cache.importVerifyKey(P256, 'ecdsa-sha256');
    await assert.rejects(cache.importVerifyKey(SHORT, 'rsa-pkcs1-sha256'), MalformedError);
    await assert.rejects(cache.importVerifyKey(SHORT, 'rsa-pkcs1-sha256'), MalformedError);
    assert.ok(key);
  });
});
