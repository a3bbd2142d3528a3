import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { MalformedError } from '@cloister/bytes';
import { jwkFromSpki, jwkThumbprint, parseJwk, spkiFromJwk, type Jwk } from './jwk.ts';

const pairs = [
  generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  generateKeyPairSync('rsa', { modulusLength: 2048 }),
].map(({ publicKey }) => ({
  spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
  jwk: publicKey.export({ format: 'jwk' }) as Jwk,
}));

describe('jwkThumbprint', () => {
  it('is that of RFC 7638, section 3.1', async () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw';
    const jwk = { kty: 'RSA', n, e: 'AQAB', alg: 'RS256', kid: '2011-04-29' };
    assert.equal(await jwkThumbprint(jwk), 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs');
  });

  it('is that of RFC 8037, appendix A.3', async () => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' };
    assert.equal(await jwkThumbprint(jwk), 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
  });

  it('does not see other members', async () => {
    for (const { jwk } of pairs) {
      const more = { ...jwk, kid: 'k', use: 'sig', alg: 'ES256' };
      assert.equal(await jwkThumbprint(more), await jwkThumbprint(jwk));
    }
  });

  it('refuses unknown types and missing members', async () => {
    for (const jwk of [
      { kty: 'EC', crv: 'P-256', x: 'AA' },
      { kty: 'none' },
      { kty: 'toString' },
    ]) {
      await assert.rejects(jwkThumbprint(jwk), MalformedError);
    }
  });
});

describe('jwkFromSpki and spkiFromJwk', () => {
  it('agree with node:crypto in both directions', () => {
    for (const { spki, jwk } of pairs) {
      assert.deepEqual(jwkFromSpki(spki), { ...jwk });
      assert.deepEqual(spkiFromJwk(jwk), spki);
      const made = createPublicKey({
        key: Buffer.from(spkiFromJwk(jwk)),
        format: 'der',
        type: 'spki',
      });
      assert.deepEqual(made.export({ format: 'jwk' }), jwk);
    }
  });

  it('refuse numbers of another length, missing members, other types', () => {
    const [ec, , rsa] = pairs;
    assert.ok(ec && rsa);
    const bad: Jwk[] = [
      { ...ec.jwk, x: 'AA' },
      { ...ec.jwk, y: `${ec.jwk.y}AA` },
      { ...ec.jwk, crv: 'secp256k1' },
      { kty: 'EC', crv: 'P-256' },
      { ...rsa.jwk, n: `AA${rsa.jwk.n}` },
      { ...rsa.jwk, e: 'AAEAAQ' },
      { ...rsa.jwk, n: '' },
      { kty: 'RSA', n: 'AQ' },
      { kty: 'OKP', crv: 'Ed25519', x: 'AA' },
    ];
    for (const jwk of bad)
      assert.throws(() => spkiFromJwk(jwk), MalformedError, JSON.stringify(jwk));
  });
});

describe('parseJwk', () => {
  it('keeps known members and drops private ones', () => {
    const jwk = { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', d: 'secret', kid: 'k', x5c: ['AA'] };
    assert.deepEqual(parseJwk(jwk), { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'k' });
  });

  it('refuses all but objects with texts', () => {
    for (const value of [null, 'EC', [], {}, { kty: '' }, { kty: 1 }, { kty: 'EC', x: 1 }]) {
      assert.throws(() => parseJwk(value), MalformedError);
    }
  });
});
