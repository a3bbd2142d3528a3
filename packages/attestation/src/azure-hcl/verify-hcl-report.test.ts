import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readFileSync } from 'node:fs';
import {
  concatBytes,
  decodeBase64url,
  decodeHex,
  decodeUtf8,
  encodeHex,
  encodeUtf8,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';
import * as fc from 'fast-check';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { appraise } from '../appraisal/appraise.ts';
import { anchors, forgeReport, later, strangerCa } from '../snp/forge.test.ts';
import { checkHclBinding } from './hcl-binding.ts';
import { parseHclReport } from './hcl-report.ts';
import { parseHclRuntimeClaims } from './runtime-claims.ts';
import { parseTpmAttest, type TpmQuote } from './tpm-quote.ts';
import { verifyHclReport, type HclReportOptions } from './verify-hcl-report.ts';
import {
  akJwk,
  jwkOf,
  makeAk,
  NONCE,
  PCRS,
  CLAIMS,
  otherAk,
  forgeHcl,
  forgeTpmQuote,
  type HclEdits,
} from './forge.test.ts';

const verify = async (edits: HclEdits = {}) => {
  const { blob, options } = await forgeHcl(edits);
  return verifyHclReport(blob, options);
};

describe('verifyHclReport', () => {
  for (const tee of ['snp', 'tdx'] as const) {
    it(`takes ${tee} hardware, claims and the quote of the vTPM`, async () => {
      const result = await verify({ tee });
      assert.ok(result.ok, JSON.stringify(result));
      const { claims } = result;
      assert.equal(claims.hardware.tee, tee);
      assert.equal(claims.simulated, true);
      assert.deepEqual(claims.runtime.kids, ['HCLAkPub', 'HCLEkPub']);
      assert.equal(claims.runtime.userData, 'ab'.repeat(64));
      assert.equal(claims.runtime.vmConfiguration['secure-boot'], true);
      assert.equal(claims.qualifyingData, encodeHex(NONCE));
      assert.deepEqual(claims.pcrs, {
        '0': '00'.repeat(32),
        '4': '04'.repeat(32),
        '11': '0b'.repeat(32),
      });
      assert.ok(
        result.checks.every(
          ({ check, outcome }) =>
            outcome === 'passed' || check.includes('CRL') || check.includes('revoked'),
        ),
      );
    });
  }

  it('gives no registers without a quote, and says what was not looked at', async () => {
    const { blob, options } = await forgeHcl();
    const { tpmQuote: _, nonce: __, ...rest } = options;
    const result = await verifyHclReport(blob, rest);
    assert.ok(result.ok);
    assert.deepEqual(result.claims.pcrs, {});
    assert.equal(result.claims.qualifyingData, undefined);
    const skipped = result.checks.filter(({ outcome }) => outcome === 'skipped');
    assert.ok(skipped.some(({ check }) => check === 'TPM quote'));
    const old = await verifyHclReport(blob, { ...rest, tpmQuote: await forgeTpmQuote({}) });
    assert.equal(old.checks.at(-1)?.outcome, 'skipped');
  });
});

const shortAk = await makeAk(1024);
const cut = (bytes: Bytes) => bytes.subarray(0, -1);
const put =
  (at: number, ...values: number[]) =>
  (bytes: Bytes) => {
    bytes.set(values, at);
    return bytes;
  };
const withKeys = (keys: unknown) => JSON.stringify({ ...JSON.parse(CLAIMS), keys });

const CASES: readonly (readonly [what: string, code: string, edits: HclEdits])[] = [
  ['another magic', 'hcl.format', { blob: put(0, 0x49) }],
  ['a header version that nobody knows', 'hcl.format', { blob: put(4, 3) }],
  ['another payload size', 'hcl.format', { blob: put(8, 0) }],
  ['another request', 'hcl.format', { blob: put(12, 1) }],
  ['a status', 'hcl.format', { blob: put(16, 1) }],
  ['a reserved byte', 'hcl.format', { blob: put(31, 1) }],
  ['another version of runtime data', 'hcl.format', { blob: put(1220, 2) }],
  ['a report type that nobody knows', 'hcl.format', { blob: put(1224, 3) }],
  ['a hash that nobody knows', 'hcl.format', { blob: put(1228, 4) }],
  ['a byte in the padding', 'hcl.format', { blob: (b) => b.set([1], b.length - 1) }],
  ['a byte behind the TDREPORT', 'hcl.format', { tee: 'tdx', blob: put(32 + 1024, 1) }],
  ['claims that are no JSON', 'hcl.format', { claims: '{"keys":[]' }],
  ['claims without keys', 'hcl.format', { claims: '{}' }],
  [
    'one key id twice',
    'hcl.format',
    {
      claims: withKeys([
        { kid: 'HCLAkPub', ...akJwk },
        { kid: 'HCLAkPub', ...akJwk },
      ]),
    },
  ],
  ['user data of another length', 'hcl.format', { claims: '{"keys":[],"user-data":"00"}' }],
  [
    'a configuration that is no object',
    'hcl.format',
    { claims: '{"keys":[],"vm-configuration":1}' },
  ],
  [
    'claims that were changed afterwards',
    'hcl.binding',
    { blob: put(1236 + CLAIMS.indexOf('"X"') + 1, 0x59) },
  ],
  ['the digest of other claims in the report', 'hcl.binding', { reportData: new Uint8Array(64) }],
  ['another hash than the report was made with', 'hcl.binding', { blob: put(1228, 2) }],
  ['a hardware report with a bit changed', 'snp.signature', { blob: put(32 + 0x90, 0) }],
  ['hardware evidence that is too old', 'snp.chain', { options: { at: later(900) } }],
  ['a quote by another key', 'tpm.signature', { quoteSigner: otherAk.privateKey }],
  ['claims without an attestation key', 'tpm.signature', { claims: withKeys([]) }],
  [
    'an attestation key that is too short',
    'tpm.signature',
    {
      quoteSigner: shortAk.privateKey,
      claims: withKeys([{ kid: 'HCLAkPub', ...(await jwkOf(shortAk)) }]),
    },
  ],
  ['something that no TPM made', 'tpm.format', { attest: put(0, 0) }],
  ['another kind of attestation', 'tpm.format', { attest: put(5, 0x17) }],
  ['a quote cut short', 'tpm.format', { attest: cut }],
  [
    'a quote with more behind it',
    'tpm.format',
    { attest: (a) => concatBytes(a, Uint8Array.of(0)) },
  ],
  [
    'another PCR than the quote is over',
    'tpm.pcrs',
    { pcrs: PCRS.with(4, PCRS[5] ?? PCRS[0] ?? new Uint8Array()) },
  ],
  ['a PCR that is missing', 'tpm.pcrs', { pcrs: PCRS.slice(0, 11) }],
  ['the nonce of somebody else', 'tpm.nonce', { options: { nonce: encodeUtf8('another') } }],
];

describe('verifyHclReport refuses, by one check alone', () => {
  for (const [what, code, edits] of CASES) {
    it(what, async () => {
      const result = await verify(edits);
      assert.ok(!result.ok, 'it was accepted');
      assert.equal(result.code, code, JSON.stringify(result.checks));
      assert.equal(result.checks.filter(({ outcome }) => outcome === 'failed').length, 1);
    });
  }

  it('claims bound to a TDREPORT that anyone can write, beside a TD quote over others', async () => {
    const { options } = await forgeHcl({ tee: 'tdx', claims: '{"keys":[]}' });
    const { blob } = await forgeHcl({ tee: 'tdx' });
    const { tpmQuote: _, ...rest } = options;
    const result = await verifyHclReport(blob, rest);
    assert.ok(!result.ok && result.code === 'hcl.binding');
    assert.equal(result.checks.at(-2)?.check, 'hardware vouches for the runtime claims');
  });

  it('hardware evidence of the other TEE', async () => {
    const [snp, tdx] = [await forgeHcl(), await forgeHcl({ tee: 'tdx' })];
    const result = await verifyHclReport(snp.blob, tdx.options);
    assert.ok(!result.ok && result.code === 'hcl.format');
  });

  it('an ASK of a stranger inside', async () => {
    const { blob, options } = await forgeHcl();
    assert.ok(options.hardware.tee === 'snp');
    const foreign = await forgeReport({ vek: { signer: strangerCa.privateKey } });
    const hardware = { ...options.hardware, vek: foreign.options.vek, anchors };
    const result = await verifyHclReport(blob, { ...options, hardware });
    assert.ok(!result.ok && result.code === 'snp.chain');
  });

  it('every shorter blob, and any bytes, without throwing', async () => {
    const { blob } = await forgeHcl();
    const end = parseHclReport(blob).payloadSize;
    for (let length = 0; length < end; length++) {
      const result = await checkHclBinding(blob.subarray(0, length));
      assert.ok(!result.ok && result.code === 'hcl.format', `${length} bytes`);
    }
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async (input) => {
        const result = await checkHclBinding(input);
        assert.throws(() => parseTpmAttest(input), MalformedError);
        assert.throws(() => parseHclRuntimeClaims(input), MalformedError);
        return !result.ok && result.code === 'hcl.format';
      }),
    );
  });

  it('any bit of header, claims or padding that is changed', async () => {
    const { blob } = await forgeHcl();
    for (let at = 0; at < blob.length; at++) {
      // Header version 1 and 2 differ in two bits: no single one leads from one to the other.
      if (at >= 32 && at < 1216) continue;
      const changed = blob.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      assert.ok(!(await checkHclBinding(changed)).ok, `byte ${at}`);
    }
  });
});

interface WholeEvidence {
  readonly hcl_report: string;
  readonly vcek?: string;
  readonly td_quote?: string;
  readonly tpm_quote: {
    readonly message: string;
    readonly signature: string;
    readonly pcrs: readonly string[];
  };
}

const read = (name: string): WholeEvidence => {
  const json = JSON.parse(readFileSync(shared(`vectors/azure-hcl/${name}.evidence.json`), 'utf8'));
  return (json as { evidence?: WholeEvidence }).evidence ?? (json as WholeEvidence);
};
const file = (path: string) => new Uint8Array(readFileSync(shared(`vectors/${path}`)));
const root = (name: string) => file(`roots/${name}.der`);
const quoteOf = ({ tpm_quote: quote }: WholeEvidence): TpmQuote => ({
  message: decodeHex(quote.message),
  signature: decodeHex(quote.signature),
  pcrs: quote.pcrs.map((pcr) => decodeHex(pcr)),
});
/** One of the evidences is padded, others are not. */
const unpad = (text = '') => decodeBase64url(text.replace(/=+$/, ''));

describe('genuine evidence of Azure', { skip: sharedMissing }, () => {
  const SNP = [
    ['snp-coco-evidence-v1-ca2703', 'challenge'],
    ['snp-confidentialai-live-evidence-47a66c', 'attestation-test-fixture'],
  ] as const;

  for (const [name, nonce] of SNP) {
    it(`${name}: AMD, paravisor and vTPM agree, and PCRs follow`, async () => {
      const evidence = read(name);
      const options: HclReportOptions = {
        at: new Date('2025-08-01T00:00:00Z'),
        nonce: encodeUtf8(nonce),
        tpmQuote: quoteOf(evidence),
        hardware: {
          tee: 'snp',
          vek: unpad(evidence.vcek),
          ask: root('amd-SEV-Milan'),
          ark: root('amd-ARK-Milan'),
        },
      };
      const blob = unpad(evidence.hcl_report);
      const result = await verifyHclReport(blob, options);
      assert.ok(result.ok, JSON.stringify(result));
      const { claims } = result;
      assert.equal(claims.simulated, false);
      assert.equal(Object.keys(claims.pcrs).length, 24);
      assert.equal(claims.pcrs['4'], evidence.tpm_quote.pcrs[4]);
      assert.ok(appraise(claims.hardware, {}).ok);
      const stale = await verifyHclReport(blob, { ...options, nonce: encodeUtf8('mine') });
      assert.ok(!stale.ok && stale.code === 'tpm.nonce');
    });
  }

  it('Intel, paravisor and vTPM agree, and the TDREPORT alone would not do', async () => {
    const evidence = read('tdx-confidentialai-live-evidence-380fa1');
    const text = (path: string) => decodeUtf8(file(path));
    const blob = unpad(evidence.hcl_report);
    const options: HclReportOptions = {
      at: new Date(1_772_718_607_000),
      nonce: encodeUtf8('attestation-test-fixture'),
      tpmQuote: quoteOf(evidence),
      hardware: {
        tee: 'tdx',
        quote: unpad(evidence.td_quote),
        collateral: {
          tcbInfo: text('tdx/collateral/tcbinfo-90c06f000000-v3-ev18-2026-02-18.json'),
          tcbInfoChain: text('sgx/collateral/tcb-signing-2025.pem'),
          qeIdentity: text('tdx/collateral/tdqe-ev18-2026-02-18.json'),
          qeIdentityChain: text('sgx/collateral/tcb-signing-2025.pem'),
          pckCrl: file('sgx/collateral/crl-platform-2026-02-18-2009bb.der'),
          rootCaCrl: file('sgx/collateral/crl-root-2025-03-20-ad6f3f.der'),
        },
      },
    };
    const result = await verifyHclReport(blob, options);
    assert.ok(result.ok, JSON.stringify(result));
    assert.equal(result.claims.simulated, false);
    assert.equal(result.claims.pcrs['0'], evidence.tpm_quote.pcrs[0]);
    // The same machine's quote over other report data.
    const other = unpad(evidence.td_quote);
    other[48 + 520] = (other[48 + 520] ?? 0) ^ 1;
    const hardware = { ...options.hardware, quote: other } as HclReportOptions['hardware'];
    const refused = await verifyHclReport(blob, { ...options, hardware });
    assert.ok(!refused.ok && refused.code === 'quote.signature');
  });
});
