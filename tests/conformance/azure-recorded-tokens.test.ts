/** What Azure Attestation itself once answered, judged by our relying party's code. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseIssuerKeys, verifyToken } from '@cloister/attestation';
import type { JsonValue } from '@cloister/bytes';
import { parseJws, type Jwk } from '@cloister/crypto';
import { shared, sharedMissing } from '../shared.ts';

const read = (path: string): string =>
  readFileSync(shared(`vectors/maa/tokens/${path}`), 'utf8').trim();
const INSTANCES = ['shared', 'aad', 'isolated'] as const;

const keysOf = (instance: string): readonly Jwk[] =>
  parseIssuerKeys(JSON.parse(read(`certs-${instance}.json`)) as JsonValue);
const judge = (jwt: string, keys: readonly Jwk[], changes: { iss?: string; at?: Date } = {}) => {
  const [, payload = ''] = jwt.split('.');
  const { iss, iat } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
    iss: string;
    iat: number;
  };
  const issuers = [{ iss: changes.iss ?? iss, keys }];
  return verifyToken(jwt, { issuers, at: changes.at ?? new Date(iat * 1000) });
};
const ownKeys = (name: string): readonly Jwk[] =>
  keysOf(INSTANCES.find((one) => name.endsWith(one)) ?? assert.fail(name));

describe("Azure Attestation's recorded tokens", { skip: sharedMissing }, () => {
  const names = [
    'oe-runtimedata-binary-shared',
    'sgx-runtimedata-json-shared',
    'sgx-simple-shared',
    'certificates-get-isolated',
    'policy-get-sgx-shared',
    'policy-get-signed-aad',
    'policy-get-tpm-shared',
    'policy-reset-aad',
    'policy-set-unsecured-aad',
  ];
  for (const name of names)
    it(`verifies ${name}, and refuses it where one thing is wrong`, async () => {
      const jwt = read(`${name}.jwt`);
      const keys = ownKeys(name);
      const good = await judge(jwt, keys);
      assert.ok(good.ok, good.ok ? '' : good.code);
      const refusals = {
        token_issuer: judge(jwt, keys, { iss: 'https://other.example' }),
        token_expired: judge(jwt, keys, { at: new Date('2023-01-01T00:00:00Z') }),
        token_not_yet_valid: judge(jwt, keys, { at: new Date('2022-01-01T00:00:00Z') }),
        token_kid_unknown: judge(jwt, [{ ...keys[0], kty: 'RSA', kid: 'other' }]),
        token_signature: judge(jwt, [{ ...keys[1], kty: 'RSA', kid: keys[0]?.kid ?? '' }]),
      };
      for (const [code, result] of Object.entries(refusals)) {
        const verdict = await result;
        assert.equal(verdict.ok ? 'verified' : verdict.code, code);
      }
      const { header } = parseJws(jwt);
      const [, payload = '', signature = ''] = jwt.split('.');
      const withHeader = (changes: Record<string, unknown>): string =>
        `${Buffer.from(JSON.stringify({ ...header, ...changes })).toString('base64url')}.${payload}.${signature}`;
      const forged = {
        token_alg: withHeader({ alg: 'none' }),
        token_kid_missing: withHeader({ kid: undefined }),
        token_key_embedded: withHeader({ x5c: ['AA=='] }),
      };
      for (const [code, changed] of Object.entries(forged)) {
        const verdict = await judge(changed, keys);
        assert.equal(verdict.ok ? 'verified' : verdict.code, code);
      }
    });

  it('refuses the one that nobody signed', async () => {
    const verdict = await judge(read('sgx-draftpolicy-unsecured-shared.jwt'), keysOf('shared'));
    assert.ok(!verdict.ok && verdict.code === 'token_alg');
  });
});
