import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeHex, encodeUtf8 } from '@cloister/bytes';
import { encodeName, parseCertificate } from '@cloister/crypto';
import { pemChain } from '../simulated/simulated-platform.ts';
import {
  AT,
  certificates,
  chainOf,
  forgeCertificate,
  forgeCrl,
  judge,
  keys,
  pckChain,
  spkiOf,
  stranger,
  type CertificateEdits,
  type Edits,
} from './forge.test.ts';

const later = (days: number) => new Date(AT.getTime() + days * 86_400_000);

describe('PCK chains that do not lead to a trusted root', () => {
  const { root, platformCa, pck } = certificates;
  const code = 'pck.chain';

  it('a whole chain of a stranger, all names right', async () => {
    const spki = await spkiOf(stranger);
    const signer = stranger.privateKey;
    const evilRoot = await forgeCertificate('root', { publicKey: spki, signer });
    const evilCa = await forgeCertificate('platformCa', { publicKey: spki, signer });
    const evilPck = await forgeCertificate('pck', { publicKey: spki, signer });
    const edits = { ...chainOf(evilPck, evilCa, evilRoot), qeSigner: signer };
    assert.equal(await judge('sgx3', edits), code);
  });
  it('a leaf that a stranger signed', async () => {
    const evil = await forgeCertificate('pck', { signer: stranger.privateKey });
    assert.equal(await judge('sgx3', chainOf(evil, platformCa, root)), code);
  });
  it('a leaf used as CA', async () => {
    const spki = await spkiOf(stranger);
    const { subject } = parseCertificate(pck);
    const evil = await forgeCertificate('pck', {
      publicKey: spki,
      issuer: subject,
      signer: keys.pck.privateKey,
      commonName: 'SGX PCK Certificate 2',
    });
    assert.equal(await judge('sgx3', chainOf(evil, pck, platformCa)), code);
  });
  it('an intermediate that is no CA, or may not sign certificates or CRLs', async () => {
    const spoilt: CertificateEdits[] = [
      { constraints: { ca: false } },
      { usages: ['cRLSign'] },
      { usages: ['keyCertSign'] },
    ];
    for (const edits of spoilt) {
      const ca = await forgeCertificate('platformCa', edits);
      assert.equal(await judge('sgx3', chainOf(pck, ca, root)), code);
    }
  });
  it('a leaf that is a CA', async () => {
    const leaf = await forgeCertificate('pck', { constraints: { ca: true } });
    assert.equal(await judge('sgx3', chainOf(leaf, platformCa, root)), code);
  });
  it('an unknown critical extension', async () => {
    const extension = { oid: '1.2.3.4', critical: true, value: decodeHex('0500') };
    const leaf = await forgeCertificate('pck', { extensions: [extension] });
    assert.equal(await judge('sgx3', chainOf(leaf, platformCa, root)), code);
  });
  for (const oid of ['2.5.29.14', '2.5.29.15', '2.5.29.19', '2.5.29.31', '2.5.29.35']) {
    it(`no extension ${oid}`, async () => {
      const leaf = await forgeCertificate('pck', { without: [oid] });
      assert.equal(await judge('sgx3', chainOf(leaf, platformCa, root)), code);
    });
  }
  it('no SGX extension', async () => {
    const leaf = await forgeCertificate('pck', { without: ['1.2.840.113741.1.13.1'] });
    assert.equal(await judge('sgx3', chainOf(leaf, platformCa, root)), code);
  });
  it('names of other roles', async () => {
    const leaf = await forgeCertificate('pck', { commonName: 'SGX TCB Signing' });
    assert.equal(await judge('sgx3', chainOf(leaf, platformCa, root)), code);
  });
  it('a root or an intermediate of another name', async () => {
    const name = encodeName({ commonName: 'SGX Root' });
    const otherRoot = await forgeCertificate('root', { commonName: 'SGX Root', issuer: name });
    const below = await forgeCertificate('platformCa', { issuer: name });
    assert.equal(await judge('sgx3', chainOf(pck, below, otherRoot)), code);
    const commonName = 'SGX PCK Platform';
    const otherCa = await forgeCertificate('platformCa', { commonName });
    const leaf = await forgeCertificate('pck', { issuer: encodeName({ commonName }) });
    assert.equal(await judge('sgx3', chainOf(leaf, otherCa, root)), code);
  });
  it('two or four certificates', async () => {
    assert.equal(await judge('sgx3', chainOf(pck, platformCa)), code);
    assert.equal(await judge('sgx3', chainOf(pck, platformCa, root, root)), code);
  });
  it('no anchor, or another', async () => {
    assert.equal(await judge('sgx3', {}, { anchors: [] }), code);
    assert.equal(await judge('sgx3', {}, { anchors: [{ spkiSha256: '00'.repeat(32) }] }), code);
    assert.equal(await judge('sgx3', {}, { anchors: [{ spki: await spkiOf(stranger) }] }), code);
  });
  it('an anchor by its key, among others', async () => {
    const anchors = [{ spki: await spkiOf(stranger) }, { spki: await spkiOf(keys.root) }];
    assert.equal(await judge('sgx3', {}, { anchors }), 'ok');
  });
  it('documents under another anchor than the PCK chain', async () => {
    const spki = await spkiOf(stranger);
    const signer = stranger.privateKey;
    const evilRoot = await forgeCertificate('root', { publicKey: spki, signer });
    const evilSigner = await forgeCertificate('tcbSigning', { publicKey: spki, signer });
    const chain = pemChain(evilSigner, evilRoot);
    const edits: Edits = {
      documentSigner: signer,
      collateral: { tcbInfoChain: chain, qeIdentityChain: chain },
    };
    const anchors = [{ spki: await spkiOf(keys.root) }, { spki }];
    assert.equal(await judge('sgx3', edits, { anchors }), 'tcbinfo.signature');
  });
  it('a TCB signer of another name, or in a chain of another length', async () => {
    const other = await forgeCertificate('tcbSigning', { commonName: 'SGX TCB' });
    for (const tcbInfoChain of [
      pemChain(other, root),
      pemChain(certificates.tcbSigning),
      pemChain(certificates.tcbSigning, root, root),
      'no PEM',
    ]) {
      assert.equal(await judge('sgx3', { collateral: { tcbInfoChain } }), 'tcbinfo.signature');
    }
  });
  it('a PCK certificate as TCB signer', async () => {
    const tcbInfoChain = pemChain(pck, root);
    const edits: Edits = { documentSigner: keys.pck.privateKey, collateral: { tcbInfoChain } };
    assert.equal(await judge('sgx3', edits), 'tcbinfo.signature');
  });
  it('a revoked signer of one document only: tcbsigner.revoked', async () => {
    const other = await forgeCertificate('tcbSigning', { serial: '77' });
    const chain = pemChain(other, root);
    const rootCaCrl = await forgeCrl({ by: 'root', serials: ['77'] });
    for (const member of ['tcbInfoChain', 'qeIdentityChain'] as const) {
      const collateral = { rootCaCrl, [member]: chain };
      assert.equal(await judge('sgx3', { collateral }), 'tcbsigner.revoked', member);
      assert.equal(await judge('sgx3', { collateral: { [member]: chain } }), 'ok', member);
    }
  });
  it('a document signer outside its dates', async () => {
    for (const dates of [{ notAfter: later(-1) }, { notBefore: later(1) }]) {
      const chain = pemChain(await forgeCertificate('tcbSigning', dates), root);
      const tcb = { collateral: { tcbInfoChain: chain } };
      assert.equal(await judge('sgx3', tcb), 'tcbinfo.expired');
      const qe = { collateral: { qeIdentityChain: chain } };
      assert.equal(await judge('sgx3', qe), 'qeid.expired');
    }
  });
  it('an expired PCK certificate or PCK CA: pck.expired', async () => {
    const old = await forgeCertificate('pck', { notAfter: later(-1) });
    assert.equal(await judge('sgx3', chainOf(old, platformCa, root)), 'pck.expired');
    const oldCa = await forgeCertificate('platformCa', { notAfter: later(-1) });
    assert.equal(await judge('sgx3', chainOf(pck, oldCa, root)), 'pck.expired');
  });
});

describe('certification data without the chain', () => {
  const { pck } = certificates;
  const collateral = { pckChain: pckChain() };
  it('types 1 to 3 take the chain from collateral', async () => {
    for (const type of [1, 2, 3]) {
      const certificationData = { type, data: new Uint8Array(404) };
      assert.equal(await judge('sgx3', { certificationData, collateral }), 'ok');
      assert.equal(await judge('tdx4', { certificationData, collateral }), 'ok');
      assert.equal(await judge('sgx3', { certificationData }), 'pck.chain');
    }
  });
  it('type 4 must be the leaf of that chain', async () => {
    const certificationData = { type: 4, data: pck };
    assert.equal(await judge('sgx3', { certificationData, collateral }), 'ok');
    const other = { type: 4, data: certificates.tcbSigning };
    assert.equal(await judge('sgx3', { certificationData: other, collateral }), 'pck.chain');
  });
  it('types 0, 6 and 7 are no certification data of a quote', async () => {
    for (const type of [0, 6, 7]) {
      const certificationData = { type, data: new Uint8Array(404) };
      assert.equal(await judge('sgx3', { certificationData, collateral }), 'quote.format');
      assert.equal(await judge('tdx4', { certificationData, collateral }), 'quote.format');
    }
  });
  it('a PEM that ends with NUL bytes', async () => {
    const data = encodeUtf8(`${pckChain()}\0\0`);
    assert.equal(await judge('sgx3', { certificationData: { type: 5, data } }), 'ok');
  });
});
