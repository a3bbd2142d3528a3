import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeHex } from '@cloister/bytes';
import { parseCertificate, sha256 } from '@cloister/crypto';
import { VerificationCache } from '../intel/verification-cache.ts';
import {
  arkKey,
  CPUIDS,
  derText,
  forgeAmdCrl,
  forgeArk,
  forgeAsk,
  forgeReport,
  later,
  spkiOf,
  strangerCa,
  type SnpEdits,
} from './forge.test.ts';
import type { SnpProduct } from './tcb.ts';
import { verifySnpReport } from './verify-snp-report.ts';

const PRODUCTS: readonly SnpProduct[] = ['Milan', 'Genoa', 'Turin'];
const edit = (at: number, ...bytes: number[]): Pick<SnpEdits, 'report'> => ({
  report: (report) => report.set(bytes, at),
});
const verify = async (edits: SnpEdits = {}) => {
  const { report, options } = await forgeReport(edits);
  return verifySnpReport(report, options);
};

const outcomes = async (edits: SnpEdits) =>
  Object.fromEntries((await verify(edits)).checks.map((c) => [c.check, c.outcome]));

describe('verifySnpReport', () => {
  for (const product of PRODUCTS) {
    for (const kind of ['vcek', 'vlek'] as const) {
      for (const version of [2, 3, 4, 5] as const) {
        it(`takes a report of version ${version}, ${product}, ${kind.toUpperCase()}`, async () => {
          const result = await verify({ product, kind, version });
          assert.ok(result.ok, JSON.stringify(result));
          const { claims } = result;
          assert.equal(claims.product, product);
          assert.equal(claims.signingKey, kind);
          assert.equal(claims.simulated, true, 'the root is not one of AMD');
          assert.equal(claims.chipIdMasked, kind === 'vlek');
          assert.deepEqual(claims.cpuid, version === 2 ? null : CPUIDS[product]);
          assert.deepEqual(claims.reportedTcb, {
            ...(product === 'Turin' ? { fmc: 2 } : {}),
            bootloader: 4,
            tee: 1,
            snp: 24,
            microcode: 220,
          });
          const mitigations = [claims.launchMitVector, claims.currentMitVector];
          const expected = version === 5 ? ['3f00000000000000', '7f00000000000000'] : [];
          assert.deepEqual(
            mitigations.filter((m) => m !== undefined),
            expected,
          );
        });
      }
    }
  }

  it('takes Bergamo and Siena under the keys of Genoa', async () => {
    const cpuid = { family: 0x19, model: 0xa0, stepping: 2 };
    assert.ok((await verify({ product: 'Genoa', cpuid })).ok);
  });

  it('takes the name of a product with and without a stepping', async () => {
    for (const name of ['Milan', 'Milan-B0', 'Milan-B1']) {
      assert.ok((await verify({ extensions: { '2': derText(name) } })).ok, name);
    }
  });

  it('lists what it could not check as skipped, not as passed', async () => {
    const plain = await outcomes({});
    assert.equal(plain['CRL is by the root'], 'skipped');
    assert.equal(plain['ASK is not revoked'], 'skipped');
    assert.equal(plain['chip is that of the VEK'], 'passed');
    const checked = await outcomes({ options: { crl: await forgeAmdCrl() } });
    assert.equal(checked['ASK is not revoked'], 'passed');
    const masked = await outcomes({ report: (r) => r.fill(0, 0x1a0, 0x1e0) });
    assert.equal(masked['chip is that of the VEK'], 'skipped');
    assert.equal((await outcomes({ kind: 'vlek' }))['chip is that of the VEK'], 'skipped');
  });

  it('lets PLATFORM_INFO bits pass that are not known, as Turin has them', async () => {
    assert.ok((await verify({ product: 'Turin', ...edit(0x40, 0x65, 0, 0, 1) })).ok);
  });

  it('takes an anchor as its digest, and an ASK that an anchor signed without its ARK', async () => {
    const spkiSha256 = encodeHex(await sha256(await spkiOf(arkKey)));
    assert.ok((await verify({ options: { anchors: [{ spkiSha256 }] } })).ok);
    assert.ok((await verify({ options: { ark: undefined } })).ok);
  });

  it('takes unknown guest policy bits only under the option that says so', async () => {
    const unknown = edit(0x0b, 0x04);
    const refused = await verify(unknown);
    assert.ok(!refused.ok && refused.code === 'snp.format');
    assert.ok((await verify({ ...unknown, options: { allowUnknownPolicyBits: true } })).ok);
  });
});

async function warm() {
  const cache = new VerificationCache();
  const { report, options } = await forgeReport();
  assert.ok((await verifySnpReport(report, { ...options, cache })).ok);
  assert.deepEqual([cache.veks.size, cache.amdCas.size], [1, 1]);
  return { report, options: { ...options, cache } };
}

describe('what a cache keeps', () => {
  it('is no verdict on time', async () => {
    const { report, options } = await warm();
    for (const at of [later(201), later(-101)]) {
      const result = await verifySnpReport(report, { ...options, at });
      assert.ok(!result.ok && result.code === 'snp.chain');
    }
  });

  it('is no verdict on revocation', async () => {
    const { report, options } = await warm();
    const crl = await forgeAmdCrl({ serials: ['010001'] });
    const result = await verifySnpReport(report, { ...options, crl });
    assert.ok(!result.ok && result.code === 'snp.chain');
  });

  it('counts for the anchors alone with which it was made', async () => {
    const { report, options } = await warm();
    const others = [[{ spki: await spkiOf(strangerCa) }], undefined, []];
    for (const anchors of others) {
      const { anchors: _, ...rest } = options;
      const result = await verifySnpReport(report, anchors ? { ...rest, anchors } : rest);
      assert.ok(!result.ok && result.code === 'snp.chain');
    }
  });

  it('counts for the very certificates alone', async () => {
    const { report, options } = await warm();
    const wrong = [
      { ask: await forgeAsk('Milan', 'vcek', { signer: strangerCa.privateKey }) },
      { ark: await forgeArk('Milan', { signer: strangerCa.privateKey }) },
      { ark: undefined, ask: undefined },
    ];
    for (const change of wrong) {
      const result = await verifySnpReport(report, { ...options, ...change });
      assert.ok(!result.ok && result.code === 'snp.chain');
    }
  });

  it('takes in nothing that was refused', async () => {
    const cache = new VerificationCache();
    const { report, options } = await forgeReport({ vek: { signer: strangerCa.privateKey } });
    await verifySnpReport(report, { ...options, cache });
    assert.equal(cache.veks.size, 0);
  });

  it('keeps a CRL, but judges its dates anew, and for its own root only', async () => {
    const { report, options } = await warm();
    const crl = await forgeAmdCrl();
    assert.ok((await verifySnpReport(report, { ...options, crl })).ok);
    assert.equal(options.cache.amdCrls.size, 1);
    const result = await verifySnpReport(report, { ...options, crl, at: later(11) });
    assert.ok(!result.ok && result.code === 'crl.expired');
  });

  it('does not change when the caller overwrites its bytes', async () => {
    const { report, options } = await warm();
    const { vek } = options;
    const serial = parseCertificate(vek).serial;
    vek.fill(0);
    const result = await verifySnpReport(report, options);
    assert.ok(!result.ok && result.code === 'snp.chain');
    assert.equal(serial, '00');
  });
});
