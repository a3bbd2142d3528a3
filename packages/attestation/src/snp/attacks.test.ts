/**
 * The defects of peers with SNP reports (spec/evidence.md 14, rows 18 to 21), and hostile input.
 * Each attack is on genuine evidence, or on forged evidence in which nothing else is wrong.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { MalformedError } from '@cloister/bytes';
import * as fc from 'fast-check';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { appraise } from '../appraisal/appraise.ts';
import { VerificationCache } from '../intel/verification-cache.ts';
import { anchors, AT, forgeReport, later, strangerVek } from './forge.test.ts';
import { parseSnpReport } from './report.ts';
import { parseVek } from './vek.ts';
import { verifySnpReport } from './verify-snp-report.ts';

const SIGNED = 0x2a0;
const SIZE = 0x4a0;
const SIGNATURE_PARTS = [
  [0x2a0, 0x2d0],
  [0x2e8, 0x318],
] as const;
const isSignature = (at: number) => SIGNATURE_PARTS.some(([from, to]) => at >= from && at < to);

const good = await forgeReport();
const options = { ...good.options, cache: new VerificationCache() };
const codeOf = async (report: Uint8Array) => {
  const result = await verifySnpReport(report, options);
  return result.ok ? 'accepted' : result.code;
};
const flip = (at: number, bit: number) => {
  const report = good.report.slice();
  report[at] = (report[at] ?? 0) ^ (1 << bit);
  return report;
};

describe('18: bytes of the report that no signature covers', () => {
  it('count: every bit of them is refused', async () => {
    for (let at = SIGNED; at < SIZE; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const expected = isSignature(at) ? 'snp.signature' : 'snp.format';
        assert.equal(await codeOf(flip(at, bit)), expected, `byte ${at}, bit ${bit}`);
      }
    }
  });

  it('end where the report ends: every shorter and some longer ones are refused', async () => {
    for (let length = 0; length < SIZE; length++) {
      assert.equal(await codeOf(good.report.subarray(0, length)), 'snp.format', `${length} bytes`);
    }
    for (const more of [1, 16, 4096, 1 << 20]) {
      const longer = new Uint8Array(SIZE + more);
      longer.set(good.report);
      assert.equal(await codeOf(longer), 'snp.format', `${more} more bytes`);
    }
  });
});

const policyByte = (value: number) => (report: Uint8Array) => report.set([value], 0x0a);

describe('19: a guest that its host may debug', () => {
  it('is genuine, and is refused by the default policy', async () => {
    const { report, options: own } = await forgeReport({ report: policyByte(0x0b) });
    const result = await verifySnpReport(report, own);
    assert.ok(result.ok && result.claims.debug);
    const appraisal = appraise(result.claims, { roots: 'simulated' });
    assert.equal(appraisal.code, 'policy.debug');
    assert.deepEqual(appraisal.findings, ['debug', 'simulated']);
    assert.ok(appraise(result.claims, { roots: 'simulated', allowDebug: true }).ok);
  });

  it('cannot be hidden: the bit is signed', async () => {
    const { report, options: own } = await forgeReport({
      report: policyByte(0x0b),
      afterwards: policyByte(0x03),
    });
    const result = await verifySnpReport(report, own);
    assert.ok(!result.ok && result.code === 'snp.signature');
  });

  it('real hardware did it', { skip: sharedMissing }, async () => {
    const entry = entriesOf().find(({ id }) => id.includes('google-attestation'));
    assert.ok(entry);
    const result = await verifyEntry(entry);
    assert.ok(result.ok && !result.claims.simulated);
    assert.equal(appraise(result.claims, {}).code, 'policy.debug');
  });
});

describe('20: generations, versions and signing keys', { skip: sharedMissing }, () => {
  it('of every genuine report verify under the roots of AMD', async () => {
    const kinds = new Set<string>();
    for (const entry of entriesOf()) {
      const result = await verifyEntry(entry);
      assert.ok(result.ok, `${entry.id}: ${JSON.stringify(result)}`);
      assert.equal(result.claims.simulated, false);
      kinds.add(`${result.claims.product} v${entry.version} ${result.claims.signingKey}`);
    }
    for (const kind of ['Milan v2 vcek', 'Milan v3 vlek', 'Genoa v5 vcek', 'Turin v5 vcek']) {
      assert.ok(kinds.has(kind), kind);
    }
  });

  it('an ASK of AMD is known without its ARK; but not under other anchors', async () => {
    for (const entry of entriesOf()) {
      assert.ok((await verifyEntry(entry, { ark: undefined })).ok, entry.id);
      const others = await verifyEntry(entry, { ark: undefined, anchors });
      assert.ok(!others.ok && others.code === 'snp.chain');
    }
  });
});

describe('21: time and revocation', () => {
  it('is the time that the caller gives', async () => {
    for (const [days, ok] of [
      [-101, false],
      [-100, true],
      [200, true],
      [201, false],
    ] as const) {
      const result = await verifySnpReport(good.report, { ...good.options, at: later(days) });
      assert.equal(result.ok, ok, `${days} days from ${AT.toISOString()}`);
    }
  });

  it('is listed as not looked at where no CRL was given', async () => {
    const result = await verifySnpReport(good.report, good.options);
    const check = result.checks.find((one) => one.check === 'ASK is not revoked');
    assert.deepEqual(check, {
      check: 'ASK is not revoked',
      outcome: 'skipped',
      detail: 'no CRL given',
    });
  });
});

describe('hostile input', () => {
  it('one bit of each signed byte, and any bit of any, is refused', async () => {
    for (let at = 0; at < SIGNED; at++) {
      assert.notEqual(await codeOf(flip(at, at % 8)), 'accepted', `byte ${at}`);
    }
    const place = fc.tuple(fc.nat(SIGNED - 1), fc.nat(7));
    await fc.assert(
      fc.asyncProperty(place, async ([at, bit]) => (await codeOf(flip(at, bit))) !== 'accepted'),
      { numRuns: 400 },
    );
  });

  it('any bytes in the place of a report are refused without throwing', async () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 2048 }),
      fc.uint8Array({ minLength: SIZE, maxLength: SIZE }),
    );
    await fc.assert(
      fc.asyncProperty(anything, async (input) => (await codeOf(input)) === 'snp.format'),
    );
  });

  it('any bytes in the place of a certificate or CRL are refused without throwing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('vek', 'ask', 'ark', 'crl'),
        fc.uint8Array({ maxLength: 2048 }),
        async (name, content) => {
          const input = { ...good.options, [name]: new Uint8Array(content) };
          return !(await verifySnpReport(good.report, input)).ok;
        },
      ),
    );
  });

  it('certificates cut short or with a bit changed are refused', async () => {
    const { vek } = good.options;
    for (let length = 0; length < vek.length; length += 7) {
      const input = { ...good.options, vek: vek.slice(0, length) };
      assert.ok(!(await verifySnpReport(good.report, input)).ok, `${length} bytes`);
    }
    for (let at = 0; at < vek.length; at++) {
      const changed = vek.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      assert.ok(!(await verifySnpReport(good.report, { ...good.options, vek: changed })).ok);
    }
  });

  it('parsers throw MalformedError and nothing else, whatever they read', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2048 }), (input) => {
        assert.throws(() => parseSnpReport(input), MalformedError);
        assert.throws(() => parseVek(new Uint8Array(input)), MalformedError);
      }),
    );
  });

  it('a report of one chip under the certificate of another key is refused', async () => {
    const { report } = await forgeReport({ reportSigner: strangerVek.privateKey });
    assert.equal(await codeOf(report), 'snp.signature');
  });
});

interface Entry {
  readonly id: string;
  readonly version: number;
  readonly validAt: number;
  readonly files: Readonly<Record<string, string>>;
}

/** Entries of genuine reports. */
function entriesOf(): Entry[] {
  const text = readFileSync(shared('vectors/EVIDENCE-MANIFEST.json'), 'utf8');
  const { vectors } = JSON.parse(text) as { vectors: (Entry & { kind: string; class: string })[] };
  return vectors.filter((entry) => entry.kind === 'snp-report' && entry.class === 'real');
}

function bytes(path = ''): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(shared(`vectors/${path}`)));
}

function verifyEntry(
  { files, validAt }: Entry,
  change: Partial<Parameters<typeof verifySnpReport>[1]> = {},
) {
  return verifySnpReport(bytes(files['evidence']), {
    at: new Date(validAt * 1000),
    vek: bytes(files['vcek'] ?? files['vlek']),
    ask: bytes(files['ask']),
    ark: bytes(files['ark']),
    ...change,
  });
}
