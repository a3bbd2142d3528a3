import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { encodeIntelEndorsements, type EvidenceEnvelope } from '../evidence/envelope.ts';
import { INTEL_ROOT } from '../intel/collateral.ts';
import { verifySgxQuote } from '../sgx/verify-sgx-quote.ts';
import { verifyTdxQuote } from '../tdx/verify-tdx-quote.ts';
import {
  createScene,
  draftManifest,
  makeEnvelope,
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
});
