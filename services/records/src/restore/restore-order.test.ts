import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TrustedManifest } from '@cloister/attestation';
import type { JsonObject } from '@cloister/bytes';
import { signPartyStatement } from '@cloister/client';
import { type Jwk, parseJwk, signJws } from '@cloister/crypto';
import { readRestoreOrder, restoreStatement } from './restore-order.ts';

const EC = { name: 'ECDSA', namedCurve: 'P-256' } as const;
interface Signer {
  readonly key: CryptoKey;
  readonly jwk: Jwk;
}
async function makeSigner(): Promise<Signer> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', publicKey);
  return { key: privateKey, jwk: parseJwk({ kty, crv, x, y } as JsonObject) };
}
const [a, b, c, platform] = [
  await makeSigner(),
  await makeSigner(),
  await makeSigner(),
  await makeSigner(),
];
const trust = {
  id: 'ab'.repeat(32),
  manifest: {
    parties: {
      hospital: { keys: [a.jwk, b.jwk, c.jwk] },
      platform: { keys: [platform.jwk] },
    },
  },
} as unknown as TrustedManifest;
const anchored = { value: 58, hash: new Uint8Array(32).fill(1) };
const found = { position: 41, hash: new Uint8Array(32).fill(2) };
const said = { ...restoreStatement(anchored, found, trust.id), reason: 'disk of 3 May lost' };
const sign = (signer: Signer, changes: JsonObject = {}) =>
  signPartyStatement(
    { ...said, ...changes } as unknown as Parameters<typeof signPartyStatement>[0],
    signer.key,
  );
const both = async (changes: JsonObject = {}) =>
  [await sign(a, changes), await sign(b, changes)].join('\n');
const refused = (why: RegExp) => (error: unknown) =>
  error instanceof Error && error.name === 'ConfigError' && why.test(error.message);

describe('readRestoreOrder', () => {
  it('reads what more than half of the keys signed', async () => {
    const order = await readRestoreOrder(`${await both()}\n`, trust);
    assert.deepEqual(order.from, anchored);
    assert.deepEqual(order.to, { value: 42, hash: found.hash });
    assert.equal(order.reason, 'disk of 3 May lost');
    assert.equal(order.signers.length, 2);
  });

  it('refuses too few keys, and one key twice', async () => {
    await assert.rejects(readRestoreOrder(await sign(a), trust), refused(/1 of 3 keys/));
    const twice = [await sign(a), await sign(a)].join('\n');
    await assert.rejects(readRestoreOrder(twice, trust), refused(/1 of 3 keys/));
    for (const nothing of ['', '\n'])
      await assert.rejects(readRestoreOrder(nothing, trust), refused(/no statements/));
    const many = Array.from({ length: 33 }, () => 'x').join('\n');
    await assert.rejects(readRestoreOrder(many, trust), refused(/no statements/));
  });

  it('refuses a key of another party, a changed signature, another typ', async () => {
    const foreign = [await sign(a), await sign(platform)].join('\n');
    await assert.rejects(readRestoreOrder(foreign, trust), refused(/no key of the hospital/));
    const spoilt = (await both()).replace(/.{4}$/, 'AAAA');
    await assert.rejects(readRestoreOrder(spoilt, trust), refused(/no key of the hospital/));
    const payload = JSON.stringify(said);
    const header = { typ: 'cloister-manifest+jws' };
    const other = await signJws({ alg: 'ES256', key: a.key, header, payload });
    await assert.rejects(readRestoreOrder(other, trust), refused(/no key of the hospital/));
  });

  it('refuses statements that differ', async () => {
    const two = [await sign(a), await sign(b, { reason: 'another' })].join('\n');
    await assert.rejects(readRestoreOrder(two, trust), refused(/differ/));
  });

  const cases: [string, JsonObject, RegExp][] = [
    ['another purpose', { purpose: 'override-witness' }, /something else/],
    ['another party', { party: 'platform' }, /something else/],
    ['another counter', { name: 'other-log' }, /something else/],
    ['another manifest', { manifest: 'cd'.repeat(32) }, /another manifest/],
    ['no reason', { reason: '' }, /reason/],
    ['a reason that is more than words', { reason: 'a\nb' }, /reason/],
    ['a value that is no number', { value: '42' }, /from and value/],
    ['a digest that is no hex', { digest: 'zz' }, /malformed|bad_value|truncated|digest/],
    ['an unknown member', { extra: 1 }, /unknown members/],
  ];
  for (const [what, changes, why] of cases)
    it(`refuses ${what}`, async () => {
      await assert.rejects(readRestoreOrder(await both(changes), trust), refused(why));
    });
});
