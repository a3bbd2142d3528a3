import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeBase64url, encodeUtf8, type JsonObject } from '@cloister/bytes';
import { merkleInclusionProof, merkleRoot, sha256 } from '@cloister/crypto';
import { encodeHex } from '@cloister/bytes';
import type { EvidenceEnvelope } from '../evidence/envelope.ts';
import { renewCollateral } from '../simulated/create-collateral.ts';
import { createSimulatedPlatform } from '../simulated/create-platform.ts';
import { groupChecks, groupOfCheck } from './check-groups.ts';
import { AT, createStage, draftManifest, makeToken, NONCE, random } from './scene.test.ts';
import { isVerified } from './verified-peer.ts';

const { scene, change, verify, assertOnly, manifestWith } = await createStage();

describe('verifyPeer', () => {
  it('gives the keys that the evidence names, and says what it was', async () => {
    const envelope = await change({
      runtime: { models: [{ name: 'm', version: '1', digest: 'cd'.repeat(32) }] },
    });
    const result = await verify(envelope);
    assert.ok(result.ok);
    const peer = result.claims;
    assert.ok(isVerified(peer));
    assert.ok(!isVerified({ ...peer }));
    assert.equal(peer.service, 'records');
    assert.equal(peer.simulated, true);
    assert.equal(peer.manifestId, scene.manifest.id);
    assert.equal(peer.sig.x, scene.sig.x);
    assert.equal(peer.enc.n, scene.enc.n);
    assert.deepEqual(peer.ohttp, Uint8Array.of(1, 2, 3));
    assert.deepEqual(peer.models, [{ name: 'm', version: '1', digest: 'cd'.repeat(32) }]);
    assert.equal(peer.evidenceDigest, encodeHex(await sha256(envelope.evidence)));
    assert.equal(peer.tokenClaims?.['x-ms-attestation-type'], 'simulated');
  });

  it('lets the caller judge the heads that the evidence names (rule 8)', async () => {
    const heads = ['ab'.repeat(32), 'cd'.repeat(32)];
    const envelope = await change({ runtime: { heads } });
    const asked: unknown[] = [];
    const recent = await verify(envelope, {
      judgeHeads: (hashes) => {
        asked.push(hashes);
        return { ok: true, claims: undefined, checks: [] };
      },
    });
    assert.ok(recent.ok);
    assert.deepEqual(asked, [heads]);
    const refuse = { ok: false, code: 'head_too_old', checks: [] } as const;
    await assertOnly(envelope, 'code: recent head', 'head_too_old', {
      judgeHeads: () => Promise.resolve(refuse),
    });
  });

  it('sorts its checks under three questions, each of them answered', async () => {
    const { checks } = await verify(await change());
    const groups = groupChecks(checks);
    const passed = (group: keyof typeof groups) =>
      groups[group].filter(({ outcome }) => outcome === 'passed').map(({ check }) => check);
    assert.ok(passed('hardware').includes('hardware: quote is signed by the attestation key'));
    assert.ok(passed('hardware').includes('hardware: token signature'));
    assert.ok(passed('code').includes('code: MRENCLAVE'));
    assert.ok(passed('channel').includes('channel: nonce'));
    assert.equal(groupOfCheck('evidence received'), 'hardware');
    const names = checks.map(({ check }) => check);
    assert.equal(new Set(names).size, names.length, 'no name stands twice');
  });

  it('takes evidence without a token where none is required', async () => {
    const envelope = { ...(await change()), tokens: [] };
    const result = await verify(envelope, { requireToken: false });
    assert.ok(result.ok);
    assert.equal(result.claims.tokenClaims, undefined);
  });

  it('takes a nonce that is a leaf under the root in the runtime data', async () => {
    const leaves = [random(32), random(32), NONCE, random(32), random(32)];
    const nonce = encodeBase64url(await merkleRoot(leaves));
    const noncePath = {
      index: 2,
      size: 5,
      path: await merkleInclusionProof(leaves, 2),
    };
    const envelope = await change({ runtime: { nonce } });
    assert.ok((await verify({ ...envelope, noncePath })).ok);
    await assertOnly(
      { ...envelope, noncePath: { ...noncePath, index: 3 } },
      'channel: nonce',
      'nonce_mismatch',
    );
    await assertOnly(envelope, 'channel: nonce', 'nonce_mismatch');
  });

  it('says so where the caller gave no nonce', async () => {
    const result = await verify(await change(), { nonce: undefined });
    assert.ok(result.ok);
    assert.equal(result.checks.find(({ check }) => check === 'channel: nonce')?.outcome, 'skipped');
  });

  it('takes the collateral of the caller where the envelope has none', async () => {
    const { endorsements, ...envelope } = await change();
    assert.ok(endorsements);
    const { collateral } = scene.platform;
    assert.ok((await verify(envelope, { collateral })).ok);
    await assertOnly(envelope, 'hardware: endorsements', 'endorsements_missing');
  });

  it('admits a service by any one of its identities, and lists the others as skipped', async () => {
    const draft = await draftManifest(scene);
    const services = draft['services'] as { records: { identity: { anyOf: JsonObject[] } } };
    const [good = {}] = services.records.identity.anyOf;
    const anyOf = [{ ...good, mrenclave: ['00'.repeat(32)] }, good];
    const manifest = await manifestWith({ services: { records: { identity: { anyOf } } } });
    const result = await verify(await change({ manifests: [manifest.id] }), { manifest });
    assert.ok(result.ok);
    const outcomes = result.checks.filter(({ check }) => check.startsWith('code: MRENCLAVE'));
    assert.deepEqual(
      outcomes.map(({ check, outcome }) => [check, outcome]),
      [
        ['code: MRENCLAVE (identity 1)', 'skipped'],
        ['code: MRENCLAVE (identity 2)', 'passed'],
      ],
    );
  });
});

const tampered = async (at: number): Promise<EvidenceEnvelope> => {
  const envelope = await change();
  const evidence = envelope.evidence.slice();
  evidence[at] = (evidence[at] ?? 0) ^ 1;
  return { ...envelope, evidence };
};

describe('verifyPeer refuses, by one check alone', () => {
  it('a format that claims to be hardware', async () => {
    const envelope = { ...(await change()), format: 'sgx-quote' as const };
    await assertOnly(envelope, 'hardware: evidence format', 'format_not_agreed');
  });

  it('simulated evidence under a manifest of hardware', async () => {
    const manifest = await manifestWith({
      profile: 'production',
      evidence: { roots: 'hardware', platforms: 'any' },
      issuers: [],
    });
    const envelope = await change({ manifests: [manifest.id] });
    await assertOnly(envelope, 'hardware: evidence format', 'format_not_agreed', { manifest });
    // Relabelled, it still does not lead to Intel's root.
    await assertOnly(
      { ...envelope, format: 'sgx-quote' },
      'hardware: PCK chain leads to a trusted root',
      'pck.chain',
      { manifest },
    );
  });

  it('endorsements that cannot be read', async () => {
    const envelope = { ...(await change()), endorsements: { tcbInfo: 1 } };
    await assertOnly(envelope, 'hardware: endorsements', 'endorsements_malformed');
  });

  it('a quote of another platform', async () => {
    const platform = await createSimulatedPlatform({ at: AT, random });
    await assertOnly(
      await change({ platform }),
      'hardware: PCK chain leads to a trusted root',
      'pck.chain',
    );
  });

  it('a quote in which one bit of the measurement was changed', async () => {
    await assertOnly(
      await tampered(112),
      'hardware: quote is signed by the attestation key',
      'quote.signature',
    );
  });

  it('a revoked PCK certificate', async () => {
    const platform = await renewCollateral(scene.platform, { at: AT, revoke: ['pck'] });
    await assertOnly(
      await change({ platform }),
      'hardware: PCK certificate is not revoked',
      'pck.revoked',
    );
  });

  it('collateral that has expired', async () => {
    const platform = await renewCollateral(scene.platform, {
      at: new Date('2026-01-01T00:00:00Z'),
      days: 30,
    });
    await assertOnly(await change({ platform }), 'hardware: CRLs are in date', 'crl.expired');
  });

  it('a TCB status that the identity does not name', async () => {
    const platform = await renewCollateral(scene.platform, {
      at: AT,
      tcbStatus: 'SWHardeningNeeded',
    });
    await assertOnly(await change({ platform }), 'hardware: TCB status', 'policy.tcb');
  });

  it('advisories that the identity does not tolerate', async () => {
    const platform = await renewCollateral(scene.platform, {
      at: AT,
      advisoryIds: ['INTEL-SA-00001', 'INTEL-SA-00615'],
    });
    const draft = await draftManifest(scene);
    const services = draft['services'] as { records: { identity: { anyOf: JsonObject[] } } };
    const [good = {}] = services.records.identity.anyOf;
    const anyOf = [{ ...good, advisories: ['INTEL-SA-00615'] }];
    const manifest = await manifestWith({ services: { records: { identity: { anyOf } } } });
    const envelope = await change({ platform, manifests: [manifest.id] });
    await assertOnly(envelope, 'hardware: advisories', 'policy.advisory', { manifest });
  });

  it('collateral below the lowest TCB evaluation number', async () => {
    const platform = await renewCollateral(scene.platform, {
      at: AT,
      tcbEvaluationDataNumber: 16,
    });
    await assertOnly(
      await change({ platform }),
      'hardware: TCB evaluation data number',
      'policy.evaluation_number',
    );
  });

  it('a platform that is not among those named', async () => {
    const draft = await draftManifest(scene);
    const manifest = await manifestWith({
      evidence: { ...(draft['evidence'] as JsonObject), platforms: ['00'.repeat(16)] },
    });
    const envelope = await change({ manifests: [manifest.id] });
    await assertOnly(envelope, 'hardware: platform', 'policy.platform', { manifest });
  });

  it('a debug enclave', async () => {
    await assertOnly(
      await change({ facts: { debug: true } }),
      'hardware: not debuggable',
      'policy.debug',
    );
  });

  it('another MRENCLAVE', async () => {
    const facts = { mrenclave: 'a2'.repeat(32) };
    await assertOnly(await change({ facts }), 'code: MRENCLAVE', 'measurement_not_agreed');
  });

  it('another signer of the same code', async () => {
    const facts = { mrsigner: 'b3'.repeat(32) };
    await assertOnly(await change({ facts }), 'code: MRSIGNER', 'measurement_not_agreed');
  });

  it('another product', async () => {
    await assertOnly(
      await change({ facts: { isvProdId: 102 } }),
      'code: ISVPRODID',
      'product_not_agreed',
    );
  });

  it('an older security version', async () => {
    await assertOnly(await change({ facts: { isvSvn: 2 } }), 'code: ISVSVN', 'svn_too_low');
  });

  it('report data that stand for other bytes', async () => {
    const envelope = await change({ facts: { reportData: new Uint8Array(64).fill(1) } });
    await assertOnly(envelope, 'channel: report data', 'report_data_mismatch');
  });

  it('report data with something behind the digest', async () => {
    const { runtimeData } = await change();
    const reportData = new Uint8Array(64);
    reportData.set(await sha256(runtimeData));
    reportData[63] = 1;
    const envelope = await change({ facts: { reportData } });
    await assertOnly(envelope, 'channel: report data', 'report_data_mismatch');
  });

  it('runtime data with a member that nobody knows', async () => {
    const envelope = await change({ runtime: { admin: true } });
    await assertOnly(envelope, 'channel: runtime data', 'runtime_data_malformed');
  });

  it('another service', async () => {
    const envelope = await change({ runtime: { service: 'inference' } });
    await assertOnly(envelope, 'channel: service', 'service_mismatch');
  });

  it('a service that the manifest does not name', async () => {
    const envelope = await change({ runtime: { service: 'cache' } });
    await assertOnly(envelope, 'code: service named in the manifest', 'service_unknown', {
      service: 'cache',
    });
    const inherited = await change({ runtime: { service: 'constructor' } });
    await assertOnly(inherited, 'code: service named in the manifest', 'service_unknown', {
      service: 'constructor',
    });
  });

  it('the nonce of somebody else', async () => {
    const nonce = new Uint8Array(32).fill(8);
    await assertOnly(await change(), 'channel: nonce', 'nonce_mismatch', { nonce });
  });

  it('evidence without a nonce', async () => {
    const runtime = { nonce: undefined } as unknown as JsonObject;
    await assertOnly(await change({ runtime }), 'channel: nonce', 'nonce_mismatch');
  });

  it('another manifest', async () => {
    const envelope = await change({ manifests: ['ee'.repeat(32)] });
    await assertOnly(envelope, 'code: runs by this manifest', 'manifest_mismatch');
  });

  it('the manifest before, once its bridge has ended', async () => {
    const before = 'ee'.repeat(32);
    const envelope = await change({ manifests: [before] });
    const bridge = { manifestId: before, until: AT };
    const [check, code] = ['code: runs by this manifest', 'manifest_mismatch'] as const;
    await assertOnly(envelope, check, code, { bridge });
    const later = { manifestId: before, until: new Date(AT.getTime() + 1) };
    const bridged = await verify(envelope, { bridge: later });
    assert.ok(bridged.ok, JSON.stringify(bridged.checks));
    assert.equal(bridged.claims.manifestId, before);
  });

  it('any bytes in the place of evidence or runtime data, without throwing', async () => {
    const envelope = await change();
    for (const length of [0, 1, 48, 432, 436, 1020]) {
      const evidence = envelope.evidence.slice(0, length);
      assert.equal((await verify({ ...envelope, evidence })).ok, false);
    }
    for (const bytes of [encodeUtf8(''), encodeUtf8('{}'), Uint8Array.of(0xff), random(100)]) {
      const result = await verify({ ...envelope, runtimeData: bytes });
      assert.ok(!result.ok);
      assert.equal(result.code, 'report_data_mismatch');
    }
    const token = await makeToken(scene, {});
    assert.equal((await verify({ ...envelope, tokens: [token] })).ok, false);
  });
});
