import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import {
  encodeBase64,
  encodeBase64url,
  encodeHex,
  encodeUtf8,
  isJsonObject,
  MalformedError,
  type JsonObject,
  type JsonValue,
} from '@cloister/bytes';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { CommandError } from '../command-error.ts';
import { readEvidence } from './evidence-file.ts';
import { inspectEvidence } from './inspect-evidence.ts';
import type { Field, Inspection } from './inspection.ts';
import { printInspection } from './print-inspection.ts';

interface Entry {
  readonly id: string;
  readonly tee: string;
  readonly kind: string;
  readonly files: Readonly<Record<string, string>>;
  readonly expected: { readonly claims?: JsonObject | null };
}

const SKIP = { skip: sharedMissing };
const manifest = sharedMissing
  ? { vectors: [], parseOnly: [] }
  : (JSON.parse(readFileSync(shared('vectors/EVIDENCE-MANIFEST.json'), 'utf8')) as {
      readonly vectors: readonly Entry[];
      readonly parseOnly: readonly Entry[];
    });
/** All but the empty files. */
const entries: readonly Entry[] = [...manifest.vectors, ...manifest.parseOnly].filter(
  ({ id }) => !id.endsWith('-empty'),
);

function bytesOf(path: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(shared(`vectors/${path}`)));
}

function inspect(bytes: Uint8Array): Inspection {
  return inspectEvidence(readEvidence(bytes));
}

/** Names of fields by the claims that they show. */
const CLAIMS: Readonly<Record<string, string>> = {
  mrenclave: 'MRENCLAVE',
  mrsigner: 'MRSIGNER',
  isvProdId: 'ISVPRODID',
  isvSvn: 'ISVSVN',
  miscSelect: 'MISCSELECT',
  cpuSvn: 'CPUSVN',
  mrtd: 'MRTD',
  mrseam: 'MRSEAM',
  mrsignerseam: 'MRSIGNERSEAM',
  seamAttributes: 'SEAMATTRIBUTES',
  tdAttributes: 'TDATTRIBUTES',
  xfam: 'XFAM',
  mrconfigid: 'MRCONFIGID',
  mrowner: 'MROWNER',
  mrownerconfig: 'MROWNERCONFIG',
  teeTcbSvn: 'TEE_TCB_SVN',
  teeTcbSvn2: 'TEE_TCB_SVN_2',
  mrservicetd: 'MRSERVICETD',
  measurement: 'MEASUREMENT',
  hostData: 'HOST_DATA',
  idKeyDigest: 'ID_KEY_DIGEST',
  authorKeyDigest: 'AUTHOR_KEY_DIGEST',
  reportId: 'REPORT_ID',
  reportIdMa: 'REPORT_ID_MA',
  chipId: 'CHIP_ID',
  familyId: 'FAMILY_ID',
  imageId: 'IMAGE_ID',
  guestSvn: 'GUEST_SVN',
  policy: 'POLICY',
  platformInfo: 'PLATFORM_INFO',
  fmspc: 'FMSPC',
  pceId: 'PCE-ID',
  ppid: 'PPID',
};

describe('inspectEvidence', SKIP, () => {
  it('shows of every vector what the reference read in it', () => {
    let compared = 0;
    for (const { id, kind, files, expected } of entries) {
      const { claims } = expected;
      if (kind === 'hcl-report' || !claims) continue;
      const bytes = bytesOf(files['evidence'] ?? '');
      const { sections } = inspect(bytes);
      // The QE report has fields of the same names: the first of them is the enclave's own.
      const fields = sections.flatMap((section) => section.fields);
      for (const [claim, name] of Object.entries(CLAIMS)) {
        const value: JsonValue | undefined = claims[claim];
        if (value === undefined) continue;
        const field = fields.find((one) => one.name === name);
        if (field === undefined && files['pckChain'] !== undefined) continue;
        const text: string = typeof value === 'string' ? value : JSON.stringify(value);
        assert.equal(field?.value, text, `${id}: ${name}`);
        compared += 1;
      }
    }
    assert.ok(compared > 1500, `${compared} fields`);
  });

  it('says where each field stands', () => {
    for (const { id, files } of entries) {
      const bytes = bytesOf(files['evidence'] ?? '');
      for (const field of offsetsOf(inspect(bytes))) {
        const { offset = 0, size = 0, name, value } = field;
        if (size < 8 || !/^[0-9a-f]+$/.test(value) || value.length !== 2 * size) continue;
        const raw = bytes.subarray(offset, offset + size);
        assert.equal(value, encodeHex(raw), `${id}: ${name}`);
      }
    }
  });

  it('leaves no byte out', () => {
    for (const { id, files } of entries) {
      const bytes = bytesOf(files['evidence'] ?? '');
      const inspection = inspect(bytes);
      if (inspection.problems.length > 0) continue;
      let at = 0;
      for (const { offset = 0, size = 0, name } of offsetsOf(inspection)) {
        assert.equal(offset, at, `${id}: before ${name}`);
        at += size;
      }
      assert.equal(at, bytes.length, id);
    }
  });

  it('reads every prefix of evidence as far as it goes, and says where it stops', () => {
    for (const path of [
      'sgx/quotes/azuresamples-enclave.info.debug-7ae719.bin',
      'snp/reports/microsoft-turin-attestation-report-85da70.bin',
      'azure-hcl/snp-coco-hcl-report-5145ba.bin',
    ]) {
      const bytes = bytesOf(path);
      for (let length = 0x2a0; length < bytes.length; length += 97) {
        const { problems } = inspect(bytes.subarray(0, length));
        if (path.startsWith('azure-hcl') && length >= 2346) continue;
        assert.notEqual(problems.length, 0, `${path} ${length}`);
      }
    }
  });

  it('shows what stands beside an HCL report in the same document', () => {
    const titles = (path: string) => inspect(bytesOf(path)).sections.map(({ title }) => title);
    const snp = titles('azure-hcl/snp-confidentialai-live-evidence-47a66c.evidence.json');
    assert.ok(snp.includes('VCEK') && snp.includes('vTPM quote') && snp.includes('runtime claims'));
    const tdx = inspect(bytesOf('azure-hcl/tdx-confidentialai-live-evidence-380fa1.evidence.json'));
    const field = (title: string, name: string) =>
      tdx.sections.find((one) => one.title === title)?.fields.find((one) => one.name === name)
        ?.value;
    for (const name of ['MRTD', 'TDATTRIBUTES', 'XFAM', 'RTMR0', 'MROWNER']) {
      const inReport = field('TDREPORT: TDINFO', name);
      assert.ok(inReport);
      assert.equal(inReport, field('TD quote: TD report, TDX 1.0', name), name);
    }
    const seam = field('TDREPORT: TEE_TCB_INFO', 'MRSEAM');
    assert.equal(seam, field('TD quote: TD report, TDX 1.0', 'MRSEAM'));
  });

  it('says that a token in an envelope cannot be read', () => {
    const quote = bytesOf('sgx/quotes/azuresamples-enclave.info.debug-7ae719.bin');
    const envelope = {
      format: 'sgx-quote',
      evidence: encodeBase64url(quote),
      runtimeData: encodeBase64url(encodeUtf8('{}')),
      tokens: [`eyJhbGciOiJFUzI1NiJ9.${encodeBase64url(encodeUtf8('{"a":1'))}.AAAA`],
    };
    const { problems, sections } = inspect(encodeUtf8(JSON.stringify(envelope)));
    assert.equal(problems.length, 2);
    assert.match(problems[1] ?? '', /token/);
    assert.ok(sections.some(({ title }) => title === 'SGX enclave report'));
  });

  it('prints offsets, values and meanings', () => {
    const text = printInspection(inspect(bytesOf('maa/sdk/oe-debug.report.bin')));
    assert.match(text, /^SGX quote, version 3 \(in Open Enclave report\), 4600 bytes/);
    assert.match(text, /0x0010 {4}2 {2}version +3\n/);
    assert.match(text, /ATTRIBUTES flags +0700000000000000 {2}\(INIT, DEBUG/);
    assert.match(text, /FMSPC +00906ed50000/);
  });
});

describe('readEvidence', SKIP, () => {
  const path = 'sgx/quotes/azuresamples-enclave.info.debug-7ae719.bin';

  it('finds the same quote in every coat', () => {
    const quote = bytesOf(path);
    const hex = encodeHex(quote);
    for (const text of [
      hex,
      `0x${hex}\n`,
      hex.toUpperCase().replaceAll(/(.{64})/g, '$1\n'),
      encodeBase64(quote),
      encodeBase64url(quote),
      JSON.stringify({ quote: encodeBase64url(quote), runtimeData: {} }),
      encodeBase64(encodeUtf8(hex)),
    ]) {
      const file = readEvidence(encodeUtf8(text));
      assert.equal(file.kind, 'quote');
      assert.deepEqual('evidence' in file && file.evidence, quote);
    }
  });

  it('refuses what is no evidence', () => {
    for (const text of ['', '{}', 'hello', '[1]', '00', 'ff'.repeat(2000)]) {
      assert.throws(() => readEvidence(encodeUtf8(text)), CommandError, text.slice(0, 20));
    }
    assert.throws(() => readEvidence(encodeUtf8('{"a":')), MalformedError);
  });

  it('reads the documents of Azure and their samples', () => {
    for (const name of ['sgx-intel/enclave.info.debug', 'sgx-intel/enclave.info.release']) {
      const json: unknown = JSON.parse(readFileSync(shared(`vectors/maa/${name}.json`), 'utf8'));
      assert.ok(isJsonObject(json));
      assert.equal(readEvidence(encodeUtf8(JSON.stringify(json))).kind, 'quote', name);
    }
  });
});

/** The fields that are of bytes of the evidence itself; those of certificates inside are not. */
function offsetsOf({ sections }: Inspection): readonly Field[] {
  return sections
    .flatMap(({ fields }) => fields)
    .filter(({ offset, size }) => offset !== undefined && size !== 0);
}
