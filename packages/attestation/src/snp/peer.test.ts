import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import type { JsonObject } from '@cloister/bytes';
import { jwkThumbprint } from '@cloister/crypto';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import type { EvidenceEnvelope } from '../evidence/envelope.ts';
import { verifyEvidence } from '../evidence/verify-evidence.ts';
import {
  createScene,
  draftManifest,
  ISSUER,
  makeEnvelope,
  makeToken,
  NONCE,
  trust,
  type Scene,
} from '../peer/scene.test.ts';
import { verifyPeer } from '../peer/verify-peer.ts';
import { encodeSnpEndorsements, snpEndorsementsOf } from './endorsements.ts';
import { forgeReport } from './forge.test.ts';
import { verifySnpReport } from './verify-snp-report.ts';

const REPORT = 'microsoft-genoa-attestation-report-4ae0e7';
const AT = new Date(1_786_025_107_000);
const read = (path: string) => new Uint8Array(readFileSync(shared(`vectors/${path}`)));

function genuine() {
  return {
    evidence: read(`snp/reports/${REPORT}.bin`),
    vek: read(`snp/certs/${REPORT}.vcek.der`),
    ask: read('roots/amd-SEV-Genoa.der'),
    ark: read('roots/amd-ARK-Genoa.der'),
  };
}

describe('SNP endorsements', () => {
  const bytes = { vek: Uint8Array.of(1), ask: Uint8Array.of(2), ark: Uint8Array.of(3) };

  it('come back as they were, with a VLEK or a CRL too', () => {
    assert.deepEqual(snpEndorsementsOf(encodeSnpEndorsements(bytes)), bytes);
    const all = { ...bytes, crl: Uint8Array.of(4) };
    assert.deepEqual(snpEndorsementsOf(encodeSnpEndorsements(all, 'vlek')), all);
  });

  it('are refused where a member is missing, unknown or no base64url', () => {
    const good = encodeSnpEndorsements(bytes);
    const bad: readonly JsonObject[] = [
      {},
      { vcek: 'AQ', ask: 'Ag' },
      { ...good, vlek: 'AQ' },
      { ...good, more: 'AQ' },
      { ...good, ask: '%' },
      { ...good, ark: 1 },
      { ...good, ark: 'A'.repeat(1 << 20) },
    ];
    for (const endorsements of bad) {
      assert.throws(() => snpEndorsementsOf(endorsements), { name: 'MalformedError' });
    }
  });
});

describe('verifyEvidence', () => {
  it('takes an SNP report under hardware roots only, and with endorsements only', async () => {
    const { report, options } = await forgeReport();
    const { vek, ask, ark, at } = options;
    assert.ok(ask && ark);
    const endorsements = encodeSnpEndorsements({ vek, ask, ark });
    const bare = { format: 'snp-report', evidence: report, endorsements } as const;
    const codeOf = async (
      evidence: Parameters<typeof verifyEvidence>[0],
      roots: Parameters<typeof verifyEvidence>[1]['roots'] = 'hardware',
    ) => {
      const result = await verifyEvidence(evidence, { roots, at });
      return result.ok ? 'accepted' : result.code;
    };
    // Genuine but for its root, which is not one of AMD.
    assert.equal(await codeOf(bare), 'snp.chain');
    assert.equal(await codeOf(bare, { simulated: [] }), 'format_not_agreed');
    assert.equal(await codeOf({ ...bare, format: 'azure-hcl' }), 'format_not_agreed');
    assert.equal(await codeOf({ format: 'snp-report', evidence: report }), 'endorsements_missing');
    assert.equal(await codeOf({ ...bare, endorsements: {} }), 'endorsements_malformed');
    assert.equal(await codeOf({ ...bare, format: 'sgx-quote' }), 'endorsements_malformed');
  });
});

describe('verifyPeer of a genuine SNP guest', { skip: sharedMissing }, () => {
  let scene: Scene;
  before(async () => {
    scene = await createScene();
  });

  const agreement = async (issuers: JsonObject[] = []) => {
    const { evidence, ...certificates } = genuine();
    const result = await verifySnpReport(evidence, { ...certificates, at: AT });
    assert.ok(result.ok);
    const { claims } = result;
    const identity: JsonObject = {
      tee: 'snp',
      measurement: [claims.measurement],
      hostData: [claims.hostData],
      minTcb: { ...claims.reportedTcb },
    };
    const manifest = await trust(scene, {
      ...(await draftManifest(scene)),
      profile: 'production',
      evidence: { roots: 'hardware', platforms: 'any' },
      issuers,
      services: { records: { identity: { anyOf: [identity] } } },
    });
    const { runtimeData } = await makeEnvelope(scene, { manifests: [manifest.id] });
    const envelope: EvidenceEnvelope = {
      format: 'snp-report',
      evidence,
      runtimeData,
      endorsements: encodeSnpEndorsements(certificates),
      tokens: [],
    };
    return { claims, envelope, trusted: { manifest, service: 'records', nonce: NONCE, at: AT } };
  };

  it('passes every check of hardware and code, and misses only our runtime data', async () => {
    const { envelope, trusted } = await agreement();
    const peer = await verifyPeer(envelope, trusted);
    assert.equal(peer.ok ? 'ok' : peer.code, 'report_data_mismatch');
    const failed = peer.checks.filter(({ outcome }) => outcome === 'failed');
    assert.deepEqual(
      failed.map(({ check }) => check),
      ['channel: report data'],
    );
    const simulated = await verifyPeer(envelope, { ...trusted, manifest: scene.manifest });
    assert.equal(simulated.ok ? 'ok' : simulated.code, 'format_not_agreed');
  });

  it('compares a token with the report, claim by claim', async () => {
    const policyHash = 'p'.repeat(43);
    const keys = [await jwkThumbprint(scene.issuerJwk)];
    const { claims, envelope, trusted } = await agreement([
      { iss: ISSUER, keys, policyHash, tee: ['sevsnpvm'] },
    ]);
    const payload: JsonObject = {
      iss: ISSUER,
      exp: AT.getTime() / 1000 + 3600,
      'x-ms-attestation-type': 'sevsnpvm',
      'x-ms-policy-hash': policyHash,
      'x-ms-sevsnpvm-is-debuggable': false,
      'x-ms-sevsnpvm-migration-allowed': false,
      'x-ms-sevsnpvm-reportdata': claims.reportData,
      'x-ms-sevsnpvm-guestsvn': claims.guestSvn,
      'x-ms-sevsnpvm-vmpl': claims.vmpl,
      'x-ms-sevsnpvm-launchmeasurement': claims.measurement,
      'x-ms-sevsnpvm-hostdata': claims.hostData,
      'x-ms-sevsnpvm-idkeydigest': claims.idKeyDigest,
      'x-ms-sevsnpvm-authorkeydigest': claims.authorKeyDigest,
      'x-ms-sevsnpvm-reportid': claims.reportId,
      'x-ms-sevsnpvm-bootloader-svn': claims.reportedTcb.bootloader,
      'x-ms-sevsnpvm-tee-svn': claims.reportedTcb.tee,
      'x-ms-sevsnpvm-snpfw-svn': claims.reportedTcb.snp,
      'x-ms-sevsnpvm-microcode-svn': claims.reportedTcb.microcode,
    };
    const outcomeWith = async (changes: JsonObject) => {
      const token = await makeToken(scene, { ...payload, ...changes });
      const { checks } = await verifyPeer(
        { ...envelope, tokens: [token] },
        { ...trusted, issuerKeys: [scene.issuerJwk], requireToken: true },
      );
      return checks.find(({ check }) => check === 'code: token names this code')?.outcome;
    };
    assert.equal(await outcomeWith({}), 'passed');
    for (const changes of [
      { 'x-ms-sevsnpvm-launchmeasurement': '00'.repeat(48) },
      { 'x-ms-sevsnpvm-hostdata': '00'.repeat(32) },
      { 'x-ms-sevsnpvm-idkeydigest': '11'.repeat(48) },
      { 'x-ms-sevsnpvm-authorkeydigest': '11'.repeat(48) },
      { 'x-ms-sevsnpvm-guestsvn': claims.guestSvn + 1 },
      { 'x-ms-sevsnpvm-vmpl': 3 },
      { 'x-ms-sevsnpvm-is-debuggable': true },
    ]) {
      assert.equal(await outcomeWith(changes), 'failed', JSON.stringify(changes));
    }
  });
});
