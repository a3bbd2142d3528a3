import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { jwkFromSpki, signJws, type Jwk } from '@cloister/crypto';
import type { JsonObject } from '@cloister/bytes';
import { oidcAuthorizer } from './oidc.ts';
import type { Authorize } from './authorize.ts';

const ISSUER = 'https://login.example/tenant';
const AUDIENCE = 'https://attest.azure.net';
const READ = 'Attestation Reader';
const WRITE = 'Attestation Contributor';

describe('oidcAuthorizer', () => {
  let now = 1_700_000_000;
  let pairs: CryptoKeyPair[];
  let jwks: Jwk[];
  let asked: string[] = [];
  let metadata: JsonObject;
  let authorize: Authorize;

  before(async () => {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
    pairs = await Promise.all(
      [1, 2].map(() => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])),
    );
    const all = await Promise.all(
      pairs.map(async ({ publicKey }, i) => ({
        ...jwkFromSpki(new Uint8Array(await crypto.subtle.exportKey('spki', publicKey))),
        kid: `k${i}`,
      })),
    );
    jwks = all.slice(0, 1);
    metadata = { issuer: ISSUER, jwks_uri: `${ISSUER}/keys` };
    authorize = oidcAuthorizer({
      issuer: ISSUER,
      audience: AUDIENCE,
      now: () => new Date(now * 1000),
      fetch: ({ url }) => {
        asked.push(url);
        return Promise.resolve(Response.json(url.endsWith('/keys') ? { keys: jwks } : metadata));
      },
    });
    rotate = () => (jwks = all);
  });
  let rotate: () => void;

  const bearer = async (changes: JsonObject = {}, header: JsonObject = {}, signer = 0) => {
    const key = pairs[signer]?.privateKey;
    assert.ok(key);
    const claims = {
      iss: ISSUER,
      aud: AUDIENCE,
      exp: now + 600,
      nbf: now,
      sub: 'someone',
      roles: [READ],
      ...changes,
    };
    const token = await signJws({
      alg: 'ES256',
      key,
      header: { kid: `k${signer}`, ...header },
      payload: JSON.stringify(claims),
    });
    return `Bearer ${token}`;
  };

  it('takes a bearer with the role, and names its owner', async () => {
    assert.equal(await authorize(await bearer(), 'read'), 'someone');
    assert.equal(await authorize(await bearer({ roles: [WRITE], oid: 'id' }), 'write'), 'id');
    assert.equal(await authorize(await bearer({ aud: ['x', AUDIENCE] }), 'read'), 'someone');
    const permission = 'Microsoft.Attestation/attestationProviders/attestation/write';
    assert.equal(await authorize(await bearer({ roles: [permission] }), 'write'), 'someone');
    assert.equal(await authorize(await bearer({}, { kid: 'k0' }), 'read'), 'someone');
  });

  it('asks for the keys once', () => {
    assert.deepEqual(asked, [`${ISSUER}/.well-known/openid-configuration`, `${ISSUER}/keys`]);
  });

  const refused: Readonly<
    Record<string, [string, () => Promise<string | undefined>, ('write' | 'read')?]>
  > = {
    'no bearer': ['bad_bearer', async () => undefined],
    'another scheme': ['bad_bearer', async () => 'Basic abc'],
    'a bearer that is no JWT': ['bearer_malformed', async () => 'Bearer abc'],
    'another issuer': ['bearer_issuer', () => bearer({ iss: 'https://evil.example' })],
    'another audience': ['bearer_audience', () => bearer({ aud: 'other' })],
    'no audience': ['bearer_audience', () => bearer({ aud: [] })],
    'one that expired': ['bearer_expired', () => bearer({ exp: now - 61 })],
    'one without an end': ['bearer_expired', () => bearer({ exp: 'never' })],
    'one of the future': ['bearer_not_yet_valid', () => bearer({ nbf: now + 61 })],
    'no roles': ['bearer_role', () => bearer({ roles: 'Attestation Reader' })],
    'another role': ['bearer_role', () => bearer({ roles: ['Nothing'] })],
    'a reader that writes': ['bearer_role', () => bearer(), 'write'],
    'a changed signature': [
      'bearer_signature',
      async () => (await bearer()).replace(/.{4}$/, 'AAAA'),
    ],
    'no signature': [
      'bearer_signature',
      async () => {
        const [, payload] = (await bearer()).split('.');
        return `Bearer ${Buffer.from('{"alg":"none","kid":"k0"}').toString('base64url')}.${payload}.`;
      },
    ],
    'a key of its own in the header': ['bearer_signature', () => bearer({}, { kid: 'k0' }, 1)],
  };
  for (const [what, [reason, prepare, role = 'read']] of Object.entries(refused))
    it(`refuses ${what}`, async () => {
      await assert.rejects(authorize(await prepare(), role), { code: 'Unauthorized', reason });
    });

  it('asks again for a key that it does not know, not more often than every ten seconds', async () => {
    asked = [];
    now += 11;
    await assert.rejects(authorize(await bearer({}, {}, 1), 'read'));
    await assert.rejects(authorize(await bearer({}, {}, 1), 'read'));
    assert.equal(asked.length, 2);
    rotate();
    now += 11;
    assert.equal(await authorize(await bearer({}, {}, 1), 'read'), 'someone');
  });

  it('takes no keys from metadata of another issuer', async () => {
    metadata = { ...metadata, issuer: 'https://evil.example' };
    now += 3700;
    await assert.rejects(authorize(await bearer(), 'read'), { reason: 'bearer_malformed' });
  });
});
