import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import {
  encodeAzureEvidence,
  encodeEnvelope,
  encodeIntelEndorsements,
  encodeSnpEndorsements,
  intelEntry,
  snpEntry,
  type BundleEntry,
  type IntelCollateral,
} from '@cloister/attestation';
import { decodeUtf8, encodeUtf8, MalformedError, type Bytes } from '@cloister/bytes';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { CommandError } from '../command-error.ts';
import { readEvidence, type EvidenceFile } from './evidence-file.ts';
import { inspectEvidence } from './inspect-evidence.ts';
import { readCollateral } from './read-collateral.ts';
import { verifyFile, type FileTrust, type FileVerdict } from './verify-file.ts';

interface Entry {
  readonly id: string;
  readonly kind: string;
  readonly validAt: number;
  readonly files: Readonly<Record<string, string>>;
  readonly expected: {
    readonly verdict: string;
    readonly tcbStatus: string | null;
    readonly codes: readonly string[] | null;
    readonly policyFindings: readonly string[];
  };
}

const SKIP = { skip: sharedMissing };
const MANIFEST = shared('vectors/EVIDENCE-MANIFEST.json');
const { vectors } = sharedMissing
  ? { vectors: [] }
  : (JSON.parse(readFileSync(MANIFEST, 'utf8')) as { readonly vectors: readonly Entry[] });

function bytesOf(path = ''): Bytes {
  return new Uint8Array(readFileSync(join(dirname(MANIFEST), path)));
}

function find(prefix: string): Entry {
  return vectors.find(({ id }) => id.startsWith(prefix)) ?? assert.fail(prefix);
}

function collateralOf({ files }: Entry): IntelCollateral {
  const text = (name: string) => decodeUtf8(bytesOf(files[name]));
  return {
    tcbInfo: text('tcbInfo'),
    tcbInfoChain: text('tcbInfoChain'),
    qeIdentity: text('qeIdentity'),
    qeIdentityChain: text('qeIdentityChain'),
    pckCrl: bytesOf(files['pckCrl']),
    rootCaCrl: bytesOf(files['rootCaCrl']),
  };
}

function entryOf(vector: Entry): BundleEntry {
  if (vector.kind === 'quote') return intelEntry(collateralOf(vector));
  const { vcek, vlek, ask, ark } = vector.files;
  return snpEntry({ vek: bytesOf(vcek ?? vlek), ask: bytesOf(ask), ark: bytesOf(ark) });
}

function judge(
  file: EvidenceFile,
  vector: Entry,
  entries: readonly BundleEntry[],
  more: Partial<FileTrust> = {},
): Promise<FileVerdict> {
  return verifyFile(file, {
    at: new Date(vector.validAt * 1000),
    collateral: { entries, loose: {} },
    simulatedRoots: [],
    policy: {},
    ...more,
  });
}

/** Names of vectors whose collateral can stand in a bundle of many. */
const FITTING = vectors.filter(
  ({ id, kind, files }) =>
    (kind === 'quote' || kind === 'snp-report') &&
    files['pckChain'] === undefined &&
    !id.startsWith('synthetic'),
);

describe('verifyFile', SKIP, () => {
  it('comes to the verdict of the reference on real evidence, each with its own collateral', async () => {
    let compared = 0;
    for (const vector of FITTING) {
      const { id, files, expected } = vector;
      let entry: BundleEntry;
      let file: EvidenceFile;
      try {
        entry = entryOf(vector);
        file = readEvidence(bytesOf(files['evidence']));
      } catch (error) {
        // Documents that no bundle takes, files that hold nothing.
        if (error instanceof MalformedError || error instanceof CommandError) continue;
        throw error;
      }
      let verdict: FileVerdict;
      try {
        verdict = await judge(file, vector, [entry]);
      } catch (error) {
        // Evidence that cannot be read names no platform, and evidence of another has no collateral.
        assert.ok(error instanceof CommandError, `${id}: ${String(error)}`);
        assert.equal(expected.verdict, 'reject', id);
        continue;
      }
      const { verification } = verdict;
      assert.equal(verification.ok, expected.verdict === 'accept', id);
      if (!verification.ok) assert.ok(expected.codes?.includes(verification.code), id);
      if (verification.ok && expected.policyFindings.includes('debug')) {
        assert.equal(verdict.appraisal?.ok, false, id);
      }
      compared += 1;
    }
    assert.ok(compared > 120, `${compared} vectors`);
  });

  it('says that there is no collateral, and how to get it', async () => {
    const vector = find('sgx3-');
    const file = readEvidence(bytesOf(vector.files['evidence']));
    await assert.rejects(judge(file, vector, []), (error) => {
      assert.ok(error instanceof CommandError);
      assert.match(error.message, /bundle has none \(not_found\).*--tee sgx --fmspc 00906ed50000/);
      return true;
    });
  });

  it('refuses by policy what is genuine', async () => {
    const vector = find('sgx3-azuresamples-enclave.info.debug');
    const file = readEvidence(bytesOf(vector.files['evidence']));
    const entries = [entryOf(vector)];
    const refused = await judge(file, vector, entries);
    assert.deepEqual([refused.verification.ok, refused.appraisal?.code], [true, 'policy.debug']);
    const policy = { allowDebug: true, tcb: { accepted: ['OutOfDate'] } } as const;
    const allowed = await judge(file, vector, entries, { policy });
    assert.equal(allowed.appraisal?.ok, true);
    const runtimeData = encodeUtf8('another');
    const other = await judge(file, vector, entries, { policy, runtimeData });
    assert.equal(other.appraisal?.code, 'policy.report_data');
  });

  it('takes the endorsements of an envelope', async () => {
    const vector = find('tdx4-');
    const envelope = encodeEnvelope({
      format: 'tdx-quote',
      evidence: bytesOf(vector.files['evidence']),
      runtimeData: encodeUtf8('{}'),
      endorsements: encodeIntelEndorsements(collateralOf(vector)),
      tokens: [],
    });
    const file = readEvidence(encodeUtf8(JSON.stringify(envelope)));
    const { verification, origins } = await judge(file, vector, []);
    const { verdict } = vector.expected;
    assert.equal(verification.ok, verdict === 'accept');
    assert.deepEqual(origins, ['endorsements: in the envelope']);
  });

  it('does not take simulated evidence without the name of its root', async () => {
    const vector = find('sgx3-');
    const envelope = encodeEnvelope({
      format: 'simulated-sgx-quote',
      evidence: bytesOf(vector.files['evidence']),
      runtimeData: encodeUtf8('{}'),
      tokens: [],
    });
    const file = readEvidence(encodeUtf8(JSON.stringify(envelope)));
    await assert.rejects(judge(file, vector, []), CommandError);
    const simulatedRoots = ['00'.repeat(32)];
    const result = await judge(file, vector, [entryOf(vector)], { simulatedRoots });
    assert.equal(!result.verification.ok && result.verification.code, 'pck.chain');
  });

  it('verifies an Azure HCL report with its report, its claims and its vTPM', async () => {
    const hcl = find('azure-hcl-snp-confidentialai-live-evidence-47a66c');
    const inside = find('snp3-milan-vcek-confidentialai-live-evidence-ec43da');
    const file = readEvidence(bytesOf(hcl.files['wholeEvidence']));
    const { verification, appraisal } = await judge(file, inside, [entryOf(inside)]);
    assert.ok(verification.ok, JSON.stringify(verification));
    assert.equal(verification.claims.tee, 'azure-cvm');
    assert.ok('pcrs' in verification.claims);
    assert.equal(Object.keys(verification.claims.pcrs).length, 24);
    assert.equal(appraisal?.checks[0]?.outcome, 'passed');
  });

  it('verifies it in an envelope too, and there the quote has to carry the runtime data', async () => {
    const hcl = find('azure-hcl-snp-confidentialai-live-evidence-47a66c');
    const inside = find('snp3-milan-vcek-confidentialai-live-evidence-ec43da');
    const whole = readEvidence(bytesOf(hcl.files['wholeEvidence']));
    assert.ok(whole.kind === 'hcl-report' && whole.beside.tpmQuote && whole.beside.vcek);
    const { evidence } = whole;
    const envelope = encodeEnvelope({
      format: 'azure-hcl',
      evidence: encodeAzureEvidence({ hclReport: evidence, tpmQuote: whole.beside.tpmQuote }),
      runtimeData: encodeUtf8('{}'),
      endorsements: encodeSnpEndorsements({
        vek: whole.beside.vcek,
        ask: bytesOf('roots/amd-SEV-Milan.der'),
        ark: bytesOf('roots/amd-ARK-Milan.der'),
      }),
      tokens: [],
    });
    const file = readEvidence(encodeUtf8(JSON.stringify(envelope)));
    const { verification } = await judge(file, inside, []);
    const failed = verification.checks.filter(({ outcome }) => outcome === 'failed');
    assert.deepEqual(
      failed.map(({ code }) => code),
      ['tpm.nonce'],
    );
    // The same quote, with what it does carry in the place of the digest.
    const nonce = encodeUtf8('attestation-test-fixture');
    assert.ok((await judge(file, inside, [], { nonce })).verification.ok);
    const { sections, problems } = inspectEvidence(file);
    assert.deepEqual(
      problems.filter((problem) => !/runtime data/.test(problem)),
      [],
    );
    assert.ok(sections.some(({ title }) => title === 'VCEK'));
  });

  it('verifies an HCL report of TDX with the TD quote beside it', async () => {
    const hcl = find('azure-hcl-tdx-confidentialai-live-evidence-380fa1');
    const inside = vectors.find(
      ({ id, files, expected }) =>
        id.startsWith('tdx4-') &&
        expected.verdict === 'accept' &&
        /90c06f000000-v3-ev18/.test(files['tcbInfo'] ?? ''),
    );
    assert.ok(inside);
    const file = readEvidence(bytesOf(hcl.files['wholeEvidence']));
    const { verification } = await judge(file, inside, [entryOf(inside)]);
    assert.ok(verification.ok, JSON.stringify(verification));
  });
});

describe('readCollateral', SKIP, () => {
  it('puts single certificates together, whatever they are called', async () => {
    const { entries, loose } = await readCollateral([
      shared('vectors/roots/amd-SEV-Milan.der'),
      shared('vectors/roots/amd-ARK-Milan.der'),
      shared('vectors/snp/certs/coco-evidence-v0-05b743.vcek.der'),
    ]);
    assert.equal(entries.length, 1);
    assert.ok(loose.ask && loose.ark && loose.vek);
  });

  it('says which file it cannot read', async () => {
    await assert.rejects(readCollateral([shared('vectors/EVIDENCE-NOTICE.md')]), CommandError);
  });
});
