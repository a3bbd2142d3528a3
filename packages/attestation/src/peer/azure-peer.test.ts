import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { concatBytes, encodeHex, encodeUtf8, type Bytes, type JsonObject } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import { encodeAzureEvidence, parseAzureEvidence } from '../azure-hcl/azure-evidence.ts';
import { akJwk, CLAIMS, jwkOf, otherAk } from '../azure-hcl/forge.test.ts';
import type { EvidenceEnvelope } from '../evidence/envelope.ts';
import { strangerCa, strangerVek } from '../snp/forge.test.ts';
import {
  agreementOf,
  createAzureStage,
  IDENTITY,
  PCRS,
  type AzureChanges,
} from './azure-scene.test.ts';
import { assertOnlyFailed, random } from './scene.test.ts';
import { isVerified } from './verified-peer.ts';
import type { PeerTrust } from './verify-peer.ts';

const { stage, manifest, change, verify } = await createAzureStage();
const otherJwk = await jwkOf(otherAk);
const zero = new Uint8Array(32);

async function assertOnly(
  changes: AzureChanges | EvidenceEnvelope,
  check: string,
  code: string,
  trust: Partial<PeerTrust> = {},
): Promise<void> {
  const envelope = 'format' in changes ? changes : await change(changes);
  assertOnlyFailed(await verify(envelope, trust), check, code);
}

describe('verifyPeer of a confidential VM of Azure', () => {
  it('gives the keys that the quote of the vTPM stands for', async () => {
    const envelope = await change();
    const result = await verify(envelope);
    assert.ok(result.ok, JSON.stringify(result.checks));
    const peer = result.claims;
    assert.ok(isVerified(peer));
    assert.equal(peer.tee, 'azure-cvm');
    assert.equal(peer.simulated, false);
    assert.equal(peer.manifestId, manifest.id);
    assert.equal(peer.sig.x, stage.scene.sig.x);
    assert.equal(peer.enc.n, stage.scene.enc.n);
    assert.equal(peer.evidenceDigest, encodeHex(await sha256(envelope.evidence)));
    assert.ok(peer.claims.tee === 'azure-cvm' && peer.claims.hardware.tee === 'snp');
    const names = result.checks.map(({ check }) => check);
    assert.equal(new Set(names).size, names.length, 'no name stands twice');
    for (const name of [
      'hardware: report is signed by the VEK',
      'hardware: hardware vouches for the runtime claims',
      'hardware: TPM quote is signed by the attestation key',
      'hardware: Secure Boot',
      'code: paravisor: launch measurement',
      'code: PCR 11',
      'channel: report data',
      'channel: nonce',
    ])
      assert.equal(result.checks.find(({ check }) => check === name)?.outcome, 'passed', name);
  });

  it('gives fresh evidence another digest, although the report is the same', async () => {
    const [one, two] = [await change(), await change({ runtime: { nonce: 'A'.repeat(43) } })];
    const [a, b] = [parseAzureEvidence(one.evidence), parseAzureEvidence(two.evidence)];
    assert.deepEqual(a.tpmQuote.pcrs, b.tpmQuote.pcrs);
    assert.notDeepEqual(one.evidence, two.evidence);
  });
});

const withReport = (report: (bytes: Bytes) => void): AzureChanges => ({ snp: { report } });
const put = (at: number, ...values: number[]) => withReport((report) => report.set(values, at));
const booted = (index: number): AzureChanges => ({
  quoted: { pcrs: PCRS.with(index, zero), selected: PCRS.map((_, i) => i) },
});
const claimsWith = (changes: JsonObject): AzureChanges => ({
  claims: JSON.stringify({ ...JSON.parse(CLAIMS), ...changes }),
});

/** [what, changes, check, code] */
type Case = readonly [string, AzureChanges, string, string];

const CASES: readonly Case[] = [
  [
    'a processor whose certificate AMD did not sign',
    { snp: { vek: { signer: strangerCa.privateKey } } },
    'hardware: VEK chain leads to a trusted root',
    'snp.chain',
  ],
  [
    'a report that this processor did not sign',
    { snp: { reportSigner: strangerVek.privateKey } },
    'hardware: report is signed by the VEK',
    'snp.signature',
  ],
  [
    'another paravisor',
    put(0x90, 0xab),
    'code: paravisor: launch measurement',
    'measurement_not_agreed',
  ],
  [
    'a paravisor with other host data',
    put(0xc0, 1),
    'code: paravisor: HOST_DATA',
    'measurement_not_agreed',
  ],
  ['a debuggable VM', put(0x0a, 0x0b), 'hardware: not debuggable', 'policy.debug'],
  ['a VM with a migration agent', put(0x0a, 0x07), 'hardware: not migratable', 'policy.migratable'],
  ['a report of the guest itself', put(0x30, 2), 'hardware: VMPL', 'policy.attributes'],
  ['firmware that is older', { snp: older(0x180) }, 'hardware: TCB version', 'policy.tcb'],
  ['older firmware at launch', put(0x1f7, 219), 'hardware: TCB at launch', 'policy.tcb'],
  [
    'claims that were changed afterwards',
    { blob: (blob) => blob.set([0x59], 1236 + CLAIMS.indexOf('"X"') + 1) },
    'hardware: HCL runtime claims are those of the report',
    'hcl.binding',
  ],
  [
    'claims of another VM than the report names',
    { reportData: concatBytes(new Uint8Array(32).fill(1), zero) },
    'hardware: HCL runtime claims are those of the report',
    'hcl.binding',
  ],
  [
    'a VM without Secure Boot',
    claimsWith({ 'vm-configuration': { 'secure-boot': false, 'tpm-enabled': true } }),
    'hardware: Secure Boot',
    'policy.secure_boot',
  ],
  [
    'a quote by the key of another vTPM',
    { quoteSigner: otherAk.privateKey },
    'hardware: TPM quote is signed by the attestation key',
    'tpm.signature',
  ],
  [
    'a paravisor that names the key of another vTPM',
    claimsWith({ keys: [{ kid: 'HCLAkPub', ...otherJwk }] }),
    'hardware: TPM quote is signed by the attestation key',
    'tpm.signature',
  ],
  [
    'the endorsement key in the place of the attestation key',
    claimsWith({ keys: [{ kid: 'HCLEkPub', ...akJwk }] }),
    'hardware: TPM quote is signed by the attestation key',
    'tpm.signature',
  ],
  [
    'other registers than the quote is over',
    { pcrs: PCRS.with(11, zero) },
    'hardware: TPM quote is over these PCRs',
    'tpm.pcrs',
  ],
  [
    'a signature over something that no TPM made',
    { attest: (attest) => concatBytes(Uint8Array.of(0), attest.subarray(1)) },
    'hardware: TPM quote format',
    'tpm.format',
  ],
  ['another boot loader', booted(4), 'code: PCR 4', 'measurement_not_agreed'],
  ['other keys of Secure Boot', booted(7), 'code: PCR 7', 'measurement_not_agreed'],
  ['another kernel image', booted(11), 'code: PCR 11', 'measurement_not_agreed'],
  ['a command line from outside', booted(12), 'code: PCR 12', 'measurement_not_agreed'],
  [
    'a quote that leaves out a register',
    { quoted: { pcrs: PCRS, selected: PCRS.map((_, i) => i).filter((i) => i !== 13) } },
    'code: PCR 13',
    'measurement_not_agreed',
  ],
  [
    'a quote over the digest of other runtime data',
    { carried: () => sha256(encodeUtf8('other')) },
    'channel: report data',
    'report_data_mismatch',
  ],
  [
    'a quote over the digest with something behind it',
    { carried: async (data) => concatBytes(await sha256(data), zero) },
    'channel: report data',
    'report_data_mismatch',
  ],
  [
    'a quote over the runtime data themselves, not their digest',
    { carried: (data) => data.subarray(0, 32) },
    'channel: report data',
    'report_data_mismatch',
  ],
  [
    'a quote over nothing',
    { carried: () => new Uint8Array() },
    'channel: report data',
    'report_data_mismatch',
  ],
  [
    'another service',
    { runtime: { service: 'inference' } },
    'channel: service',
    'service_mismatch',
  ],
];

/** Firmware and certificate of the TCB before; both say the same, so nothing else is wrong. */
function older(at: number): AzureChanges['snp'] & {} {
  return {
    report: (report) => report.set([219], at + 7),
    extensions: { '3.8': Uint8Array.of(0x02, 0x02, 0x00, 0xdb) },
  };
}

describe('verifyPeer refuses a confidential VM of Azure, by one check alone:', () => {
  for (const [what, changes, check, code] of CASES)
    it(what, async () => {
      await assertOnly(changes, check, code);
    });

  it('one whose root is not AMD’s own', async () => {
    const check = 'hardware: VEK chain leads to a trusted root';
    await assertOnly({}, check, 'snp.chain', { crypto: undefined });
  });

  it('one under simulated roots', async () => {
    const trust = { manifest: stage.scene.manifest };
    await assertOnly({}, 'hardware: evidence format', 'format_not_agreed', trust);
  });

  it('evidence of before', async () => {
    await assertOnly({}, 'channel: nonce', 'nonce_mismatch', { nonce: random(32) });
  });

  it('a report without a quote, as it lies in the vTPM', async () => {
    const envelope = await change();
    const { hclReport } = parseAzureEvidence(envelope.evidence);
    const bare = { ...envelope, evidence: hclReport };
    await assertOnly(bare, 'hardware: Azure evidence', 'hcl.format');
  });

  it('a TD quote beside the report of an AMD processor', async () => {
    const envelope = await change();
    const parts = parseAzureEvidence(envelope.evidence);
    const evidence = encodeAzureEvidence({ ...parts, tdQuote: random(600) });
    const { collateral } = stage.scene.platform;
    const both = { ...envelope, evidence, endorsements: undefined };
    const { endorsements: _, ...without } = both;
    const check = 'hardware: hardware evidence is of this TEE';
    await assertOnly(without, check, 'hcl.format', { collateral });
  });

  it('endorsements that are missing, or of the other make', async () => {
    const { endorsements, ...bare } = await change();
    assert.ok(endorsements);
    await assertOnly(bare, 'hardware: endorsements', 'endorsements_missing');
    const other = { ...bare, endorsements: { ...endorsements, tcbInfo: '' } };
    await assertOnly(other, 'hardware: endorsements', 'endorsements_malformed');
  });

  it('one where the manifest names a bare guest with the same measurement', async () => {
    const identity = { ...IDENTITY.paravisor };
    const bare = await stage.manifestWith(agreementOf([identity]));
    const changes = { runtime: { manifests: [bare.id] } };
    const [check, code] = ['code: kind of TEE', 'tee_not_agreed'] as const;
    await assertOnly(changes, check, code, { manifest: bare });
  });

  it('the bare report of such a machine, without its vTPM', async () => {
    const envelope = await change();
    const { hclReport } = parseAzureEvidence(envelope.evidence);
    const evidence = hclReport.subarray(32, 32 + 1184);
    const result = await verify({ ...envelope, format: 'snp-report', evidence });
    assert.ok(!result.ok);
    const failed = result.checks.filter(({ outcome }) => outcome === 'failed');
    assert.deepEqual(
      failed.map(({ check }) => check),
      ['channel: report data', 'code: kind of TEE'],
    );
  });

  it('any byte of it that is changed, and every truncation, without throwing', async () => {
    const envelope = await change();
    const { evidence } = envelope;
    for (let at = 0; at < evidence.length; at += 29) {
      const changed = evidence.slice();
      // Another character of the same alphabet where there is one: the form stays.
      changed[at] = (changed[at] ?? 0) ^ 1;
      // oxlint-disable-next-line no-await-in-loop -- one after the other keeps failures readable
      assert.equal((await verify({ ...envelope, evidence: changed })).ok, false, `byte ${at}`);
    }
    for (let length = 0; length < evidence.length; length += 97) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      const result = await verify({ ...envelope, evidence: evidence.subarray(0, length) });
      assert.equal(result.ok ? 'ok' : result.code, 'hcl.format');
    }
  });
});
