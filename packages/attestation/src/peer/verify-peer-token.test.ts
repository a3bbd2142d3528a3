import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeBase64url, type JsonObject } from '@cloister/bytes';
import {
  createStage,
  draftManifest,
  makeEnvelope,
  makeP256,
  publicJwk,
  random,
  without,
} from './scene.test.ts';

const { scene, change, verify, assertOnly, manifestWith } = await createStage();

const createSceneToken = (issuerKeys: CryptoKeyPair) => makeEnvelope({ ...scene, issuerKeys }, {});
const withClaim = (name: string, value: JsonObject[string]) =>
  change({ token: (payload) => ({ ...payload, [name]: value }) });

describe('verifyPeer refuses, by one check of its token alone,', () => {
  it('a token that is missing', async () => {
    const envelope = { ...(await change()), tokens: [] };
    await assertOnly(envelope, 'hardware: token', 'token_missing');
  });

  it('a token whose signature is wrong', async () => {
    const envelope = await change();
    const [token] = envelope.tokens;
    const end = token.endsWith('AA') ? 'BB' : 'AA';
    const forged = `${token.slice(0, -4)}${end}${token.slice(-2)}`;
    await assertOnly(
      { ...envelope, tokens: [forged] },
      'hardware: token signature',
      'token_signature',
    );
  });

  it('a token by a key that the manifest does not pin, though it has the same kid', async () => {
    const keys = await makeP256();
    const other = await createSceneToken(keys);
    await assertOnly(other, 'hardware: token key', 'token_kid_unknown', {
      issuerKeys: [await publicJwk(keys, { kid: 'k1' })],
    });
    await assertOnly(other, 'hardware: token signature', 'token_signature', {
      issuerKeys: [await publicJwk(keys, { kid: 'k1' }), scene.issuerJwk],
    });
  });

  it('a token of a kind that its issuer may not speak of', async () => {
    await assertOnly(
      await withClaim('x-ms-attestation-type', 'sgx'),
      'hardware: token kind',
      'token_kind',
    );
  });

  it('a token that leaves out a claim', async () => {
    const envelope = await change({
      token: (payload) => without(payload, 'x-ms-sgx-mrenclave'),
    });
    await assertOnly(envelope, 'hardware: token claims', 'token_claims_malformed');
  });

  it('a token under another policy than the manifest pins', async () => {
    const draft = await draftManifest(scene);
    const [issuer = {}] = draft['issuers'] as JsonObject[];
    const manifest = await manifestWith({ issuers: [{ ...issuer, policyHash: 'q'.repeat(43) }] });
    const envelope = await change({ manifests: [manifest.id] });
    await assertOnly(envelope, 'hardware: token policy', 'token_policy', { manifest });
  });

  for (const [name, value] of [
    ['x-ms-sgx-mrenclave', 'a3'.repeat(32)],
    ['x-ms-sgx-mrsigner', 'a3'.repeat(32)],
    ['x-ms-sgx-product-id', 7],
    ['x-ms-sgx-svn', 4],
    ['x-ms-sgx-is-debuggable', true],
    ['x-ms-sgx-config-id', 'a3'.repeat(64)],
    ['x-ms-sgx-config-svn', 1],
  ] as const) {
    it(`a token with another ${name}`, async () => {
      await assertOnly(
        await withClaim(name, value),
        'code: token names this code',
        'token_code_mismatch',
      );
    });
  }

  it('a token of other report data', async () => {
    await assertOnly(
      await withClaim('x-ms-sgx-report-data', '00'.repeat(64)),
      'channel: token report data',
      'token_report_data_mismatch',
    );
  });

  it('a token of other runtime data', async () => {
    const runtime = { keys: [] };
    await assertOnly(
      await withClaim('x-ms-runtime', runtime),
      'channel: token runtime data',
      'token_runtime_mismatch',
    );
    const envelope = await change({ token: (payload) => without(payload, 'x-ms-runtime') });
    await assertOnly(envelope, 'channel: token runtime data', 'token_runtime_mismatch');
  });

  it('a good token of other evidence beside a forged one of this', async () => {
    const envelope = await change();
    const other = await change({ runtime: { nonce: encodeBase64url(random(32)) } });
    const result = await verify({ ...envelope, tokens: [...other.tokens, 'a.b.c'] });
    assert.ok(!result.ok);
    assert.equal(result.code, 'token_report_data_mismatch');
    assert.ok((await verify({ ...envelope, tokens: ['a.b.c', ...envelope.tokens] })).ok);
  });

  it('a forged token even where none is required, if there are keys to see it by', async () => {
    const envelope = { ...(await change()), tokens: ['a.b.c'] };
    await assertOnly(envelope, 'hardware: token format', 'token_malformed', {
      requireToken: false,
    });
  });
});
