import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { encodeHex, type JsonObject } from '@cloister/bytes';
import { parseCertificateChain, sha256 } from '@cloister/crypto';
import { appraise } from '../appraisal/appraise.ts';
import { INTEL_ROOT } from '../intel/collateral.ts';
import { parseQuote } from '../intel/quote.ts';
import { verifySgxQuote } from '../sgx/verify-sgx-quote.ts';
import { renewCollateral } from './create-collateral.ts';
import { createSimulatedPlatform } from './create-platform.ts';
import { createSimulatedQuote } from './create-quote.ts';
import { exportPlatform, importPlatform } from './export-platform.ts';
import { platformRootDigest, type SimulatedPlatform } from './simulated-platform.ts';
import { verifySimulatedQuote } from './verify-simulated-quote.ts';

const AT = new Date('2026-11-24T12:00:00Z');
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const facts = {
  mrenclave: 'a1'.repeat(32),
  mrsigner: 'b2'.repeat(32),
  isvProdId: 513,
  isvSvn: 3,
  reportData: new Uint8Array(64).fill(9),
};

let platform: SimulatedPlatform;
let rootDigests: readonly string[];
before(async () => {
  platform = await createSimulatedPlatform({ at: AT, random });
  rootDigests = [await platformRootDigest(platform)];
});

const verify = (quote: Uint8Array, of: SimulatedPlatform = platform, at: Date = AT) =>
  verifySimulatedQuote(quote, { collateral: of.collateral, at, rootDigests });

async function codeOf(of: SimulatedPlatform, at?: Date): Promise<string> {
  const result = await verify(await createSimulatedQuote(of, facts), of, at);
  return result.ok ? 'ok' : result.code;
}

const quoteWith = (changes: object) => createSimulatedQuote(platform, { ...facts, ...changes });

describe('a simulated platform', () => {
  it('makes quotes that verify and say that they are simulated', async () => {
    const quote = await createSimulatedQuote(platform, facts);
    const result = await verify(quote);
    assert.ok(result.ok);
    const { claims } = result;
    assert.equal(claims.simulated, true);
    assert.equal(claims.mrenclave, facts.mrenclave);
    assert.equal(claims.mrsigner, facts.mrsigner);
    assert.equal(claims.isvProdId, 513);
    assert.equal(claims.isvSvn, 3);
    assert.equal(claims.debug, false);
    assert.equal(claims.reportData, '09'.repeat(64));
    assert.equal(claims.tcbStatus, 'UpToDate');
    assert.equal(claims.pckCa, 'Cloister Simulated SGX PCK Platform CA');
  });

  it('has the layout of SGX v3 with a chain of type 5 that says what it is', async () => {
    const quote = parseQuote(await createSimulatedQuote(platform, facts));
    assert.equal(quote.version, 3);
    assert.equal(quote.trailingBytes, 0);
    assert.equal(quote.certificationData.type, 5);
    const pem = new TextDecoder().decode(quote.certificationData.data);
    for (const { subjectCommonName } of parseCertificateChain(pem))
      assert.match(subjectCommonName ?? '', /^Cloister Simulated /);
  });

  it('is refused where only Intel counts, and by the default policy', async () => {
    const quote = await createSimulatedQuote(platform, facts);
    const anchors = [INTEL_ROOT];
    const { collateral } = platform;
    const result = await verifySgxQuote(quote, { collateral, at: AT, anchors });
    assert.equal(result.ok ? 'ok' : result.code, 'pck.chain');
    const verified = await verify(quote);
    assert.ok(verified.ok);
    assert.equal(appraise(verified.claims, {}).ok, false);
  });

  it("is refused under Intel's root, though a manifest should call that simulated", async () => {
    const digest = encodeHex(await sha256(INTEL_ROOT.spki));
    const quote = await createSimulatedQuote(platform, facts);
    const { collateral } = platform;
    const result = await verifySimulatedQuote(quote, { collateral, at: AT, rootDigests: [digest] });
    assert.equal(result.ok, false);
  });

  it('is refused under the root of another machine, and under none', async () => {
    const other = await createSimulatedPlatform({ at: AT, random });
    assert.equal(await codeOf(other), 'pck.chain');
    const quote = await createSimulatedQuote(platform, facts);
    const { collateral } = platform;
    const none = await verifySimulatedQuote(quote, { collateral, at: AT, rootDigests: [] });
    assert.equal(none.ok ? 'ok' : none.code, 'pck.chain');
  });

  it('says debug where the enclave is one', async () => {
    const result = await verify(await createSimulatedQuote(platform, { ...facts, debug: true }));
    assert.ok(result.ok && result.claims.debug);
  });

  it('refuses facts of the wrong size', async () => {
    await assert.rejects(quoteWith({ mrenclave: 'aa' }), RangeError);
    await assert.rejects(quoteWith({ reportData: new Uint8Array(63) }), RangeError);
    await assert.rejects(quoteWith({ isvProdId: 65_536 }), RangeError);
  });
});

describe('quotes of a simulated platform', () => {
  it('are refused as every shorter prefix', async () => {
    const quote = await createSimulatedQuote(platform, facts);
    for (let length = 0; length < quote.length; length += 61)
      assert.equal((await verify(quote.subarray(0, length))).ok, false);
  });

  it('are refused with any bit of what is signed changed', async () => {
    const quote = await createSimulatedQuote(platform, facts);
    // Header and body, signature, attestation key, QE report, its signature, QE auth data.
    for (let at = 0; at < 436 + 576 + 34; at += 13) {
      if (at >= 432 && at < 436) continue;
      const changed = quote.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      assert.equal((await verify(changed)).ok, false, `byte ${at}`);
    }
  });
});

describe('renewCollateral', () => {
  it('brings a platform back whose collateral has expired', async () => {
    const later = new Date(AT.getTime() + 400 * 86_400_000);
    assert.equal(await codeOf(platform, later), 'crl.expired');
    assert.equal(await codeOf(await renewCollateral(platform, { at: later }), later), 'ok');
  });

  it('holds from an hour before, and not earlier', async () => {
    assert.equal(await codeOf(platform, new Date(AT.getTime() - 3_600_000)), 'ok');
    assert.equal(await codeOf(platform, new Date(AT.getTime() - 3_602_000)), 'crl.expired');
  });

  for (const [name, code] of [
    ['pck', 'pck.revoked'],
    ['platformCa', 'pckca.revoked'],
    ['tcbSigning', 'tcbsigner.revoked'],
  ] as const) {
    it(`revokes ${name}`, async () => {
      const revoked = await renewCollateral(platform, { at: AT, revoke: [name] });
      assert.equal(await codeOf(revoked), code);
    });
  }

  it('gives the platform another TCB status', async () => {
    const advisoryIds = ['INTEL-SA-00615'];
    const changed = await renewCollateral(platform, {
      at: AT,
      tcbStatus: 'OutOfDate',
      advisoryIds,
      tcbEvaluationDataNumber: 9,
    });
    const result = await verify(await createSimulatedQuote(changed, facts), changed);
    assert.ok(result.ok);
    assert.equal(result.claims.tcbStatus, 'OutOfDate');
    assert.deepEqual(result.claims.advisoryIds, advisoryIds);
    assert.equal(result.claims.tcbEvaluationDataNumber, 9);
    const revoked = await renewCollateral(platform, { at: AT, tcbStatus: 'Revoked' });
    assert.equal(await codeOf(revoked), 'tcb.revoked');
  });
});

describe('exportPlatform', () => {
  it('gives JSON from which the same platform comes back', async () => {
    const text = JSON.stringify(await exportPlatform(platform));
    const again = await importPlatform(JSON.parse(text));
    assert.equal(await platformRootDigest(again), rootDigests[0]);
    assert.equal(await codeOf(again), 'ok');
    assert.equal(JSON.stringify(await exportPlatform(again)), text);
  });

  it('is refused with a member missing, too many, or a key that is none', async () => {
    const json = await exportPlatform(platform);
    const keys = json['keys'] as JsonObject;
    const root = keys['root'] as JsonObject;
    const { quotingEnclave: _, ...short } = json;
    const bad = [
      short,
      { ...json, more: 1 },
      { ...json, simulatedPlatform: 2 },
      { ...json, keys: { ...keys, root: { ...root, crv: 'P-384' } } },
      { ...json, keys: { ...keys, root: { ...root, y: root['x'] ?? '' } } },
      { ...json, certificates: {} },
      null,
    ];
    for (const value of bad)
      await assert.rejects(importPlatform(value), { name: 'MalformedError' });
  });
});
