import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodePem, MalformedError } from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';
import { AT, certificates, forgeCrl, keys, platform } from '../intel/forge.test.ts';
import { anchors as amdAnchors, forgeAmdCrl, forgeReport, later } from '../snp/forge.test.ts';
import { encodeIntelEndorsements } from '../evidence/envelope.ts';
import { encodeBundle, intelEntry, parseBundle, snpEntry, type BundleEntry } from './bundle.ts';
import { createBundleSource } from './bundle-source.ts';
import { describeEntry } from './describe-collateral.ts';
import { intelSourcesInOrder } from './sources-in-order.ts';

const anchors = [{ spki: parseCertificate(certificates.root).spki }];
const pckCrlChain = [certificates.platformCa, certificates.root]
  .map((der) => encodePem('CERTIFICATE', der))
  .join('');
const collateral = { ...platform.collateral, pckCrl: await forgeCrl() };

const now = (): Date => AT;

async function verdicts(entry: BundleEntry, at = AT, roots = anchors): Promise<string> {
  const documents = await describeEntry(entry, { at, anchors: roots });
  return documents.map(({ verdict }) => verdict).join(' ');
}

describe('describeEntry', () => {
  it('finds the documents of a bundle good', async () => {
    const entry = intelEntry(collateral, { pckCrlChain });
    const documents = await describeEntry(entry, { at: AT, anchors });
    assert.deepEqual(
      documents.map(({ document, verdict }) => `${document}: ${verdict}`),
      ['TCB info: good', 'QE identity: good', 'PCK CRL: good', 'root CA CRL: good'],
    );
    assert.equal(documents[0]?.evaluationNumber, entry.kind === 'intel' && entry.evaluationNumber);
  });

  it('says what it cannot check', async () => {
    assert.equal(await verdicts(intelEntry(collateral)), 'good good not-checked good');
  });

  it('says what is out of date', async () => {
    const entry = intelEntry(collateral, { pckCrlChain });
    const at = new Date('2026-03-21T00:00:00Z');
    assert.match(await verdicts(entry, at), /^good good out-of-date/);
    assert.match(await verdicts(entry, new Date(0)), /^out-of-date out-of-date out-of-date/);
  });

  it('refuses under another root, and a CRL of another signer', async () => {
    const entry = intelEntry(collateral, { pckCrlChain });
    const other = [{ spki: parseCertificate(certificates.pck).spki }];
    assert.equal(await verdicts(entry, AT, other), 'refused refused refused refused');
    const pckCrl = await forgeCrl({ signer: keys.root.privateKey });
    const forged = intelEntry({ ...collateral, pckCrl }, { pckCrlChain });
    assert.equal(await verdicts(forged), 'good good refused good');
  });

  it("describes AMD's certificates, of chips and of providers", async () => {
    for (const kind of ['vcek', 'vlek'] as const) {
      const { vek, ask, ark } = (await forgeReport({ kind })).options;
      assert.ok(ask && ark);
      const entry = snpEntry({ vek, ask, ark, crl: await forgeAmdCrl() });
      assert.equal(await verdicts(entry, AT, amdAnchors), 'good good good');
      assert.match(await verdicts(entry, later(300), amdAnchors), /^out-of-date good out-of-date/);
      assert.equal(await verdicts(entry, AT, anchors), 'refused refused refused');
    }
  });
});

describe('parseBundle', () => {
  it('reads what encodeBundle writes, and one bare endorsements object', async () => {
    const origins = [{ document: 'TCB info', source: 'pccs', fetchedAt: AT }];
    const entry = intelEntry(collateral, { pckCrlChain, origins });
    assert.deepEqual(parseBundle(encodeBundle([entry])), [entry]);
    const { vek, ask, ark } = (await forgeReport({ product: 'Turin' })).options;
    assert.ok(ask && ark);
    const amd = snpEntry({ vek, ask, ark });
    assert.deepEqual(parseBundle(encodeBundle([entry, amd])), [entry, amd]);
    const bare = JSON.stringify(encodeIntelEndorsements(collateral));
    assert.deepEqual(parseBundle(bare), [intelEntry(collateral)]);
  });

  it('refuses what is no bundle', () => {
    const good = encodeBundle([intelEntry(collateral)]);
    for (const text of [
      '',
      '[]',
      '{}',
      '{"cloisterCollateral":2,"entries":[]}',
      '{"cloisterCollateral":1,"entries":[{}]}',
      '{"cloisterCollateral":1,"entries":[],"more":1}',
      good.replace('"tcbInfo"', '"tcbinfo"'),
      good.replace('"origins": []', '"origins": [{}]'),
      good.slice(0, -10),
    ]) {
      assert.throws(() => parseBundle(text), MalformedError, text.slice(0, 40));
    }
  });

  it('refuses TCB info of one TEE with the QE identity of the other', () => {
    const qeIdentity = collateral.qeIdentity.replace('"id":"QE"', '"id":"TD_QE"');
    assert.throws(() => intelEntry({ ...collateral, qeIdentity }), MalformedError);
  });
});

describe('createBundleSource', () => {
  it('prefers what is in date to what is newer', async () => {
    const entry = intelEntry(collateral);
    assert.ok(entry.kind === 'intel');
    const future = { ...entry, evaluationNumber: 99, issued: new Date(AT.getTime() + 1e9) };
    const source = createBundleSource([future, entry], { now: () => AT });
    const answer = await source.intel(entry.query);
    assert.ok(answer.ok);
    assert.equal(answer.value, entry.collateral);
    const onlyFuture = await createBundleSource([future], { now: () => AT }).intel(entry.query);
    assert.ok(onlyFuture.ok);
  });

  it('answers in order of the sources, and lists those that had no answer', async () => {
    const entry = intelEntry(collateral);
    assert.ok(entry.kind === 'intel');
    const sources = [
      createBundleSource([], { now, name: 'empty' }),
      createBundleSource([entry], { now, name: 'full' }),
    ];
    const answer = await intelSourcesInOrder(sources).intel(entry.query);
    assert.ok(answer.ok);
    assert.deepEqual(
      answer.failures.map(({ source, code }) => `${source} ${code}`),
      ['empty not_found'],
    );
    const none = await intelSourcesInOrder([createBundleSource([], { now })]).intel(entry.query);
    assert.equal(none.ok, false);
  });
});
