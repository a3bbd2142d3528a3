import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { encodeUtf8, parseJsonObject, decodeUtf8, type JsonObject } from '@cloister/bytes';
import { parseJws, sha256 } from '@cloister/crypto';
import { encodeHex } from '@cloister/bytes';
import {
  AT,
  createScene,
  draftManifest,
  makeEnvelope,
  makeToken,
  trust,
  without,
  type Changes,
  type Scene,
} from './scene.test.ts';
import { isVerified } from './verified-peer.ts';
import { verifyCaller, type CallerTrust } from './verify-caller.ts';

let scene: Scene;
before(async () => {
  scene = await createScene();
});

const verify = (token: string, changes: Partial<CallerTrust> = {}) =>
  verifyCaller(token, {
    manifest: scene.manifest,
    service: 'records',
    issuerKeys: [scene.issuerJwk],
    at: AT,
    ...changes,
  });

const tokenOf = async (changes: Changes = {}) => (await makeEnvelope(scene, changes)).tokens[0];

async function assertOnly(
  token: string,
  check: string,
  code: string,
  changes: Partial<CallerTrust> = {},
): Promise<void> {
  const result = await verify(token, changes);
  const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
  assert.deepEqual(
    failed.map((one) => [one.check, one.code]),
    [[check, code]],
  );
  assert.ok(!result.ok);
  assert.equal(result.code, code);
}

describe('verifyCaller', () => {
  it('gives the key with which the caller has yet to sign', async () => {
    const result = await verify(await tokenOf());
    assert.ok(result.ok, JSON.stringify(result.checks));
    assert.ok(isVerified(result.claims));
    assert.equal(result.claims.service, 'records');
    assert.equal(result.claims.sig.x, scene.sig.x);
    assert.equal(result.claims.simulated, true);
    assert.equal(result.claims.exp, AT.getTime() / 1000 + 28_800);
  });

  it('lists what a token does not carry as left to its issuer', async () => {
    const { checks } = await verify(await tokenOf());
    const tcb = checks.find(({ check }) => check === 'hardware: TCB status');
    assert.equal(tcb?.outcome, 'skipped');
  });
});

describe('verifyCaller refuses, by one check alone', () => {
  it('a token that has expired', async () => {
    await assertOnly(await tokenOf(), 'hardware: token not expired', 'token_expired', {
      at: new Date(AT.getTime() + 28_800_000 + 60_000),
    });
  });

  it('heads that are not recent', async () => {
    const token = await tokenOf({ runtime: { heads: ['ab'.repeat(32)] } });
    await assertOnly(token, 'code: recent head', 'head_unknown', {
      judgeHeads: ({ length }) => ({
        ok: false,
        code: length === 1 ? 'head_unknown' : 'unexpected',
        checks: [],
      }),
    });
  });

  it('a debug enclave', async () => {
    const token = await tokenOf({ facts: { debug: true } });
    await assertOnly(token, 'hardware: not debuggable', 'policy.debug');
  });

  it('other code', async () => {
    const token = await tokenOf({ facts: { mrenclave: '00'.repeat(32) } });
    await assertOnly(token, 'code: MRENCLAVE', 'measurement_not_agreed');
  });

  it('a configuration that the manifest does not name', async () => {
    const token = await tokenOf({
      token: (payload) => ({ ...payload, 'x-ms-sgx-config-id': '01'.repeat(64) }),
    });
    await assertOnly(token, 'code: CONFIGID', 'measurement_not_agreed');
  });

  it('another service, whose token is genuine', async () => {
    const draft = await draftManifest(scene);
    const { records } = draft['services'] as JsonObject;
    const manifest = await trust(scene, {
      ...draft,
      services: { records: records ?? null, inference: records ?? null },
    });
    const token = await tokenOf({ manifests: [manifest.id] });
    await assertOnly(token, 'channel: service', 'service_mismatch', {
      manifest,
      service: 'inference',
    });
  });

  it('a caller that runs by another manifest', async () => {
    const token = await tokenOf({ manifests: ['00'.repeat(32)] });
    await assertOnly(token, 'code: runs by this manifest', 'manifest_mismatch');
  });

  it('a caller of the manifest before, once its bridge has ended', async () => {
    const predecessor = '00'.repeat(32);
    const token = await tokenOf({ manifests: [predecessor] });
    const bridge = { manifestId: predecessor, until: AT };
    await assertOnly(token, 'code: runs by this manifest', 'manifest_mismatch', { bridge });
    const later = { manifestId: predecessor, until: new Date(AT.getTime() + 1) };
    const bridged = await verify(token, { bridge: later });
    assert.ok(bridged.ok, JSON.stringify(bridged.checks));
    assert.equal(bridged.claims.manifestId, predecessor);
  });

  it('other code of the manifest before, bridged or not', async () => {
    const predecessor = '00'.repeat(32);
    const token = await tokenOf({
      manifests: [predecessor],
      facts: { mrenclave: '00'.repeat(32) },
    });
    const bridge = { manifestId: predecessor, until: new Date(AT.getTime() + 1) };
    await assertOnly(token, 'code: MRENCLAVE', 'measurement_not_agreed', { bridge });
  });

  it('a token without runtime data', async () => {
    const token = await tokenOf({ token: (payload) => without(payload, 'x-ms-runtime') });
    await assertOnly(token, 'channel: token carries runtime data', 'runtime_data_missing');
  });

  it('runtime data that the policy issued, not the evidence', async () => {
    const token = await tokenOf({
      token: (payload) => ({
        ...payload,
        'x-ms-policy': { 'x-ms-runtime': payload['x-ms-runtime'] ?? null },
      }),
    });
    await assertOnly(token, 'hardware: token claims', 'token_claims_malformed');
  });

  it('runtime data that the report data do not stand for', async () => {
    const token = await tokenOf({
      token: (payload) => ({ ...payload, 'x-ms-sgx-report-data': '00'.repeat(64) }),
    });
    await assertOnly(token, 'channel: report data', 'report_data_mismatch');
  });

  it('runtime data that are no runtime data', async () => {
    const bytes = encodeUtf8('{"a":1}');
    const reportData = encodeHex(await sha256(bytes)).padEnd(128, '0');
    const token = await tokenOf({
      token: (payload) => ({
        ...payload,
        'x-ms-sgx-report-data': reportData,
        'x-ms-runtime': { a: 1 },
      }),
    });
    await assertOnly(token, 'channel: runtime data', 'runtime_data_malformed');
  });

  it('a list of platforms, which no token can meet', async () => {
    const draft = await draftManifest(scene);
    const evidence = { ...(draft['evidence'] as JsonObject), platforms: ['00'.repeat(16)] };
    const manifest = await trust(scene, { ...draft, evidence });
    const token = await tokenOf({ manifests: [manifest.id] });
    await assertOnly(token, 'hardware: platform', 'policy.platform', { manifest });
  });

  it('a token of hardware under a manifest of simulated roots', async () => {
    const token = await tokenOf({
      token: (payload) => ({ ...payload, 'x-ms-attestation-type': 'sgx' }),
    });
    await assertOnly(token, 'hardware: token kind', 'token_kind');
  });

  it('an issuer whose keys were not fetched', async () => {
    await assertOnly(await tokenOf(), 'hardware: token key', 'token_kid_unknown', {
      issuerKeys: [],
    });
  });

  it('every change of a signed token', async () => {
    const token = await tokenOf();
    const { payload } = parseJws(token);
    const claims = parseJsonObject(decodeUtf8(payload));
    assert.equal(claims['x-ms-attestation-type'], 'simulated');
    const body = token.split('.')[1] ?? '';
    for (let at = 0; at < body.length; at += 97) {
      const other = body.charAt(at) === 'A' ? 'B' : 'A';
      const start = token.indexOf('.') + 1 + at;
      const forged = `${token.slice(0, start)}${other}${token.slice(start + 1)}`;
      assert.equal((await verify(forged)).ok, false);
    }
    assert.ok((await verify(await makeToken(scene, claims))).ok);
  });
});
