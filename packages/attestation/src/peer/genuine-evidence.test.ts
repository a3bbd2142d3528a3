import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { jwkThumbprint } from '@cloister/crypto';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { encodeIntelEndorsements, type EvidenceEnvelope } from '../evidence/envelope.ts';
import { INTEL_ROOT } from '../intel/collateral.ts';
import { verifySgxQuote } from '../sgx/verify-sgx-quote.ts';
import { verifyTdxQuote } from '../tdx/verify-tdx-quote.ts';
import {
  createScene,
  draftManifest,
  ISSUER,
  makeEnvelope,
  makeToken,
  NONCE,
  trust,
  type Scene,
} from './scene.test.ts';
import { verifyPeer } from './verify-peer.ts';

const IDS = {
  sgx: 'sgx3-automata-AutomataDcapOnChainAttestationTest-c81a90-ev17v3-2025-08-15',
  tdx: 'tdx4-phala-tdx-quote-f1c850-ev17v3-2025-06-19',
} as const;

interface Entry {
  readonly id: string;
  readonly files: Readonly<Record<string, string>>;
  readonly validAt: number;
}

const bytes = (path = '') => new Uint8Array(readFileSync(shared(`vectors/${path}`)));
const text = (path = '') => readFileSync(shared(`vectors/${path}`), 'utf8');

function readEntry(id: string) {
  const manifest = JSON.parse(text('EVIDENCE-MANIFEST.json')) as { vectors: Entry[] };
  const entry = manifest.vectors.find((one) => one.id === id);
  assert.ok(entry, `${id} is in the manifest`);
  const { files, validAt } = entry;
  const collateral = {
    tcbInfo: text(files['tcbInfo']),
    tcbInfoChain: text(files['tcbInfoChain']),
    qeIdentity: text(files['qeIdentity']),
    qeIdentityChain: text(files['qeIdentityChain']),
    pckCrl: bytes(files['pckCrl']),
    rootCaCrl: bytes(files['rootCaCrl']),
  };
  return { evidence: bytes(files['evidence']), collateral, at: new Date(validAt * 1000) };
}

/** The identity of a manifest that fits genuine evidence, read from what the quote says. */
async function identityOf(tee: keyof typeof IDS): Promise<JsonObject> {
  const { evidence, collateral, at } = readEntry(IDS[tee]);
  const options = { collateral, at, anchors: [INTEL_ROOT] };
  if (tee === 'sgx') {
    const result = await verifySgxQuote(evidence, options);
    assert.ok(result.ok);
    const { mrenclave, isvProdId, isvSvn } = result.claims;
    return { tee, mrenclave: [mrenclave], isvProdId, minIsvSvn: isvSvn };
  }
  const result = await verifyTdxQuote(evidence, options);
  assert.ok(result.ok);
  const { mrtd, rtmrs, mrconfigid } = result.claims;
  return { tee, mrtd: [mrtd], rtmr: [[...rtmrs]], mrConfigId: [mrconfigid] };
}

describe('verifyPeer of genuine evidence', { skip: sharedMissing }, () => {
  let scene: Scene;
  before(async () => {
    scene = await createScene();
  });

  for (const tee of ['sgx', 'tdx'] as const) {
    it(`passes every check of ${tee} hardware and code, and misses only our runtime data`, async () => {
      const { evidence, collateral, at } = readEntry(IDS[tee]);
      const manifest = await trust(scene, {
        ...(await draftManifest(scene)),
        profile: 'production',
        evidence: { roots: 'hardware', minTcbEvaluationDataNumber: 17, platforms: 'any' },
        issuers: [],
        services: { records: { identity: { anyOf: [await identityOf(tee)] } } },
      });
      const { runtimeData } = await makeEnvelope(scene, { manifests: [manifest.id] });
      const envelope: EvidenceEnvelope = {
        format: `${tee}-quote`,
        evidence,
        runtimeData,
        endorsements: encodeIntelEndorsements(collateral),
        tokens: [],
      };
      const options = { manifest, service: 'records', nonce: NONCE, at };
      const result = await verifyPeer(envelope, options);
      assert.equal(result.ok ? 'ok' : result.code, 'report_data_mismatch');
      const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
      assert.deepEqual(
        failed.map(({ check }) => check),
        ['channel: report data'],
      );
      // The same evidence is nothing to one who holds simulated roots.
      const simulated = { ...options, manifest: scene.manifest };
      const relabelled = { ...envelope, format: 'simulated-sgx-quote' as const };
      const refused = await verifyPeer(relabelled, simulated);
      assert.equal(refused.ok, false);
    });
  }

  it('compares a TDX token with the evidence, register by register', async () => {
    const { evidence, collateral, at } = readEntry(IDS.tdx);
    const result = await verifyTdxQuote(evidence, { collateral, at, anchors: [INTEL_ROOT] });
    assert.ok(result.ok);
    const { claims } = result;
    const policyHash = 'p'.repeat(43);
    const keys = [await jwkThumbprint(scene.issuerJwk)];
    const manifest = await trust(scene, {
      ...(await draftManifest(scene)),
      profile: 'production',
      evidence: { roots: 'hardware', platforms: 'any' },
      issuers: [{ iss: ISSUER, keys, policyHash, tee: ['tdxvm'] }],
      services: { records: { identity: { anyOf: [await identityOf('tdx')] } } },
    });
    const exp = at.getTime() / 1000 + 3600;
    const payload = {
      iss: ISSUER,
      exp,
      'x-ms-attestation-type': 'tdxvm',
      'x-ms-policy-hash': policyHash,
      tdx_td_attributes_debug: false,
      tdx_td_attributes_septve_disable: true,
      tdx_report_data: claims.reportData,
      tdx_mrtd: claims.mrtd,
      tdx_rtmr0: claims.rtmrs[0],
      tdx_rtmr1: claims.rtmrs[1],
      tdx_rtmr2: claims.rtmrs[2],
      tdx_rtmr3: claims.rtmrs[3],
      tdx_mrseam: claims.mrseam,
      tdx_mrconfigid: claims.mrconfigid,
      tdx_mrowner: claims.mrowner,
      tdx_mrownerconfig: claims.mrownerconfig,
      tdx_td_attributes: claims.tdAttributes,
      tdx_xfam: claims.xfam,
    };
    const outcomeWith = async (changes: JsonObject) => {
      const { runtimeData } = await makeEnvelope(scene, { manifests: [manifest.id] });
      const envelope: EvidenceEnvelope = {
        format: 'tdx-quote',
        evidence,
        runtimeData,
        endorsements: encodeIntelEndorsements(collateral),
        tokens: [await makeToken(scene, { ...payload, ...changes })],
      };
      const issuerKeys = [scene.issuerJwk];
      const options = { manifest, service: 'records', at, issuerKeys, requireToken: true };
      const { checks } = await verifyPeer(envelope, options);
      return checks.find(({ check }) => check === 'code: token names this code')?.outcome;
    };
    assert.equal(await outcomeWith({}), 'passed');
    const names = ['mrtd', 'rtmr0', 'rtmr3', 'mrseam', 'mrconfigid', 'mrowner', 'mrownerconfig'];
    for (const name of names)
      assert.equal(await outcomeWith({ [`tdx_${name}`]: 'ee'.repeat(48) }), 'failed', name);
    for (const name of ['td_attributes', 'xfam'])
      assert.equal(await outcomeWith({ [`tdx_${name}`]: 'ee'.repeat(8) }), 'failed', name);
  });
});
