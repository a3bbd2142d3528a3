import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  createSimulatedPlatform,
  parseRuntimeData,
  platformCollateral,
  platformRootDigest,
  reportDataFor,
  verifySimulatedQuote,
} from '@cloister/attestation';
import { encodeBase64url, encodeHex, type Bytes } from '@cloister/bytes';
import { signJws } from '@cloister/crypto';
import { createIdentity } from './identity.ts';
import { createSimulatedAttester, SIMULATED_MRSIGNER } from './simulated-attester.ts';

const at = new Date('2026-01-02T03:04:05Z');
const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));
const platform = await createSimulatedPlatform({ at, random });
const mrenclave = 'ab'.repeat(32);
const attester = createSimulatedAttester({ platform, mrenclave, isvProdId: 101, isvSvn: 3 });
const options = { service: 'records', manifests: ['0d'.repeat(32)], attester };
const signer = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
  'sign',
  'verify',
]);
const tokenAt = (iat: number, seconds: number, jti = ''): Promise<string> =>
  signJws({
    alg: 'ES256',
    key: signer.privateKey,
    header: {},
    payload: JSON.stringify({ iat, exp: iat + seconds, jti }),
  });

describe('createIdentity', () => {
  it('names the TLS key in its runtime data', async () => {
    const tls = '0c'.repeat(32);
    const { runtimeData } = await (await createIdentity({ ...options, tls })).evidence();
    assert.equal(parseRuntimeData(runtimeData).tls, tls);
    const without = await (await createIdentity(options)).evidence();
    assert.equal(parseRuntimeData(without.runtimeData).tls, undefined);
  });

  it('names the manifests and models of now, and replaces its token when others are in force', async () => {
    let manifests = ['0d'.repeat(32)];
    let version = '1';
    const shown: (readonly string[])[] = [];
    const identity = await createIdentity({
      ...options,
      manifests: () => manifests,
      models: () => [{ name: 'm', version, digest: 'cd'.repeat(32) }],
      now: () => at,
      tokens: async ({ runtimeData }) => {
        shown.push(parseRuntimeData(runtimeData).manifests);
        return [await tokenAt(at.getTime() / 1000, 900, String(shown.length))];
      },
    });
    const first = await identity.token();
    assert.equal(await identity.token(), first);
    manifests = ['0e'.repeat(32), '0d'.repeat(32)];
    version = '2';
    assert.notEqual(await identity.token(), first);
    assert.deepEqual(shown, [['0d'.repeat(32)], ['0d'.repeat(32), '0e'.repeat(32)]]);
    const data = parseRuntimeData((await identity.evidence()).runtimeData);
    assert.deepEqual(data.manifests, ['0d'.repeat(32), '0e'.repeat(32)]);
    assert.equal(data.models?.[0]?.version, '2');
  });

  it('gives evidence over its own keys that verifies as simulated', async () => {
    const identity = await createIdentity({ ...options, ohttp: Uint8Array.of(1, 2) });
    const nonce = random(32);
    const envelope = await identity.evidence(nonce);
    assert.equal(envelope.format, 'simulated-sgx-quote');
    const data = parseRuntimeData(envelope.runtimeData);
    assert.equal(data.nonce, encodeBase64url(nonce));
    assert.equal(data.ohttp, encodeBase64url(Uint8Array.of(1, 2)));
    assert.deepEqual(identity.ohttpKeys, Uint8Array.of(1, 2));
    const { x, y } = await crypto.subtle.exportKey('jwk', identity.sigKey.publicKey);
    assert.deepEqual(data.keys[0], { use: 'sig', alg: 'ES256', kty: 'EC', crv: 'P-256', x, y });
    const { n } = await crypto.subtle.exportKey('jwk', identity.encKey.publicKey);
    assert.equal(data.keys[1]?.n, n);
    const result = await verifySimulatedQuote(envelope.evidence, {
      collateral: platformCollateral(platform),
      at,
      rootDigests: [await platformRootDigest(platform)],
    });
    assert.ok(result.ok);
    const { claims } = result;
    assert.equal(claims.reportData, encodeHex(await reportDataFor(envelope.runtimeData)));
    assert.equal(claims.mrenclave, mrenclave);
    assert.equal(claims.mrsigner, SIMULATED_MRSIGNER);
    assert.deepEqual([claims.isvProdId, claims.isvSvn, claims.debug], [101, 3, false]);
  });

  it('names the heads of the moment, and replaces a token whose heads grow old', async () => {
    let heads = ['ab'.repeat(32)];
    let clock = 0;
    let issued = 0;
    const identity = await createIdentity({
      ...options,
      heads: () => heads,
      tokenSeconds: 300,
      tokens: async () => [await tokenAt(clock, 28_800, String(++issued))],
      now: () => new Date(clock * 1000),
    });
    const named = async () => parseRuntimeData((await identity.evidence()).runtimeData).heads;
    assert.deepEqual(await named(), heads);
    heads = ['cd'.repeat(32)];
    assert.deepEqual(await named(), heads);
    const first = await identity.token();
    clock = 299;
    assert.equal(await identity.token(), first);
    clock = 300;
    assert.notEqual(await identity.token(), first);
  });

  it('keeps its private keys to itself', async () => {
    const { sigKey, encKey } = await createIdentity(options);
    await assert.rejects(crypto.subtle.exportKey('pkcs8', sigKey.privateKey));
    await assert.rejects(crypto.subtle.exportKey('pkcs8', encKey.privateKey));
  });

  it('shows the tokens of the very evidence, and none when nobody gives one', async () => {
    const failures: unknown[] = [];
    let asked: Bytes | undefined;
    const identity = await createIdentity({
      ...options,
      tokens: async ({ evidence }) => {
        asked = evidence;
        return [await tokenAt(0, 100)];
      },
    });
    const envelope = await identity.evidence();
    assert.deepEqual(asked, envelope.evidence);
    assert.equal(envelope.tokens.length, 1);
    const alone = await createIdentity({
      ...options,
      tokens: () => Promise.reject(new Error('down')),
      onTokenFailure: (error) => void failures.push(error),
    });
    assert.deepEqual((await alone.evidence()).tokens, []);
    assert.equal(failures.length, 1);
    await assert.rejects(alone.token(), { message: 'down' });
  });

  it('keeps a token and renews it when a quarter of its life is left', async () => {
    let clock = 1000;
    let calls = 0;
    const identity = await createIdentity({
      ...options,
      now: () => new Date(clock * 1000),
      tokens: async () => [await tokenAt(clock, 100, String(calls++))],
    });
    const first = await identity.token();
    assert.equal(await identity.token(), first);
    clock += 74;
    assert.equal(await identity.token(), first);
    clock += 1;
    const [second, third] = await Promise.all([identity.token(), identity.token()]);
    assert.notEqual(second, first);
    assert.equal(third, second);
    assert.equal(calls, 2);
  });

  it('lives on an old token while the attestation service is away, but not beyond its end', async () => {
    let clock = 0;
    const identity = await createIdentity({
      ...options,
      now: () => new Date(clock * 1000),
      tokens: () =>
        clock === 0 ? tokenAt(0, 100).then((t) => [t]) : Promise.reject(new Error('down')),
    });
    const first = await identity.token();
    clock = 99;
    assert.equal(await identity.token(), first);
    clock = 100;
    await assert.rejects(identity.token(), { message: 'down' });
  });

  it('says when there is nobody to ask for a token, or what came is none', async () => {
    await assert.rejects((await createIdentity(options)).token(), { code: 'no_token_source' });
    const empty = await createIdentity({ ...options, tokens: async () => [] });
    await assert.rejects(empty.token(), { code: 'bad_token' });
    const eternal = await createIdentity({ ...options, tokens: async () => [await tokenAt(5, 0)] });
    await assert.rejects(eternal.token(), { code: 'bad_token' });
  });
});
