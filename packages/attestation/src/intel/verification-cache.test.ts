import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EvidenceCrypto } from './evidence-crypto.ts';
import { WEB_CRYPTO } from './evidence-crypto.ts';
import { pemChain } from '../simulated/simulated-platform.ts';
import {
  AT,
  certificates,
  chainOf,
  forge,
  forgeCertificate,
  forgeCrl,
  keys,
  levelsOf,
  pckChain,
  spkiOf,
  stranger,
  verify,
  type Forged,
} from './forge.test.ts';
import { encodeUtf8, Writer } from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';
import { VerificationCache } from './verification-cache.ts';

/** WebCrypto that counts what it does. */
function createCounter(): { crypto: EvidenceCrypto; take: () => Record<string, number> } {
  let counts = { verify: 0, import: 0 };
  return {
    crypto: {
      sha256Hex: (data) => WEB_CRYPTO.sha256Hex(data),
      async importP256(point) {
        counts.import += 1;
        const key = await WEB_CRYPTO.importP256(point);
        return (
          key && {
            verify: (signature, data) => {
              counts.verify += 1;
              return key.verify(signature, data);
            },
          }
        );
      },
    },
    take() {
      const taken = counts;
      counts = { verify: 0, import: 0 };
      return taken;
    },
  };
}

const isOk = async (forged: Forged, more: Parameters<typeof verify>[2]) =>
  (await verify('sgx3', forged, more)).ok;
const codeOf = async (forged: Forged, more: Parameters<typeof verify>[2]) => {
  const result = await verify('sgx3', forged, more);
  return result.ok ? 'ok' : result.code;
};

describe('VerificationCache', () => {
  it('makes a warm quote cost two verifications and one import', async () => {
    const { crypto, take } = createCounter();
    const cache = new VerificationCache({ attestationKeys: 0 });
    const forged = await forge('sgx3');
    assert.ok(await isOk(forged, { cache, crypto }));
    const cold = take();
    assert.ok((cold['verify'] ?? 0) >= 8, 'a cold one costs all signatures');
    assert.ok(await isOk(forged, { cache, crypto }));
    assert.deepEqual(take(), { verify: 2, import: 1 });
  });

  it('makes a quote by a known attestation key cost one verification', async () => {
    const { crypto, take } = createCounter();
    const cache = new VerificationCache();
    const forged = await forge('sgx3');
    await isOk(forged, { cache, crypto });
    take();
    assert.ok(await isOk(forged, { cache, crypto }));
    assert.deepEqual(take(), { verify: 1, import: 0 });
  });

  it('does not pay for a PCK CA that it knows', async () => {
    const { crypto, take } = createCounter();
    const cache = new VerificationCache({ attestationKeys: 0 });
    const forged = await forge('sgx3');
    await isOk(forged, { cache, crypto });
    cache.pckChains.clear();
    take();
    assert.ok(await isOk(forged, { cache, crypto }));
    assert.deepEqual(take(), { verify: 3, import: 2 });
  });

  it('never remembers a time verdict', async () => {
    const cache = new VerificationCache();
    const forged = await forge('sgx3');
    assert.equal(await codeOf(forged, { cache }), 'ok');
    const later = new Date(AT.getTime() + 400 * 86_400_000);
    assert.equal(await codeOf(forged, { cache, at: later }), 'crl.expired');
    const earlier = new Date(AT.getTime() - 86_400_000);
    assert.equal(await codeOf(forged, { cache, at: earlier }), 'crl.expired');
    assert.equal(await codeOf(forged, { cache, at: new Date(Number.NaN) }), 'crl.expired');
    assert.equal(await codeOf(forged, { cache }), 'ok');
  });

  it('never remembers a verdict on revocation', async () => {
    const cache = new VerificationCache();
    const forged = await forge('sgx3');
    assert.equal(await codeOf(forged, { cache }), 'ok');
    const pckCrl = await forgeCrl({ serials: [parseCertificate(certificates.pck).serial] });
    const collateral = { ...forged.options.collateral, pckCrl };
    assert.equal(await codeOf(forged, { cache, collateral }), 'pck.revoked');
  });

  it('does not let one caller’s anchors serve another', async () => {
    const cache = new VerificationCache();
    const forged = await forge('sgx3');
    assert.equal(await codeOf(forged, { cache }), 'ok');
    const others = [
      [],
      [{ spkiSha256: '00'.repeat(32) }],
      [{ spki: await spkiOf(stranger) }],
    ] as const;
    for (const anchors of others)
      assert.equal(await codeOf(forged, { cache, anchors }), 'pck.chain');
    const anchors = [{ spki: await spkiOf(keys.root) }];
    assert.equal(await codeOf(forged, { cache, anchors }), 'ok');
  });

  it('does not serve changed content: of the quote, its chain, or collateral', async () => {
    const cache = new VerificationCache();
    const forged = await forge('sgx3');
    const { options, quote } = forged;
    assert.equal(await codeOf(forged, { cache }), 'ok');
    for (const [offset, code] of [
      [100, 'quote.signature'],
      [440, 'quote.signature'],
      [436 + 64, 'qereport.data'],
      [436 + 128 + 64, 'qereport.signature'],
      [436 + 512, 'qereport.signature'],
      [436 + 580, 'qereport.data'],
    ] as const) {
      const spoilt = quote.slice();
      spoilt[offset] = (spoilt[offset] ?? 0) ^ 1;
      assert.equal(await codeOf({ quote: spoilt, options }, { cache }), code, `byte ${offset}`);
    }
    for (const member of ['tcbInfo', 'qeIdentity'] as const) {
      const text = options.collateral[member].replace(
        '"tcbEvaluationDataNumber":20',
        '"tcbEvaluationDataNumber":21',
      );
      const collateral = { ...options.collateral, [member]: text };
      const code = member === 'tcbInfo' ? 'tcbinfo.signature' : 'qeid.signature';
      assert.equal(await codeOf(forged, { cache, collateral }), code);
    }
  });

  it('does not serve a document with another chain, or a CRL for another CA', async () => {
    const cache = new VerificationCache();
    const forged = await forge('sgx3');
    assert.equal(await codeOf(forged, { cache }), 'ok');
    const publicKey = await spkiOf(stranger);
    const signer = await forgeCertificate('tcbSigning', { publicKey });
    const tcbInfoChain = pemChain(signer, certificates.root);
    const { rootCaCrl } = forged.options.collateral;
    const other = { ...forged.options.collateral, tcbInfoChain };
    assert.equal(await codeOf(forged, { cache, collateral: other }), 'tcbinfo.signature');
    const swapped = { ...forged.options.collateral, pckCrl: rootCaCrl };
    assert.equal(await codeOf(forged, { cache, collateral: swapped }), 'crl.issuer');
  });

  it('does not serve an attestation key under another PCK certificate', async () => {
    const cache = new VerificationCache();
    const forged = await forge('sgx3');
    assert.equal(await codeOf(forged, { cache }), 'ok');
    // The very same QE report and signature, only the chain behind them is another's.
    const pck = await forgeCertificate('pck', { publicKey: await spkiOf(stranger) });
    const chain = encodeUtf8(pemChain(pck, certificates.platformCa, certificates.root));
    const upToSize = forged.quote.length - encodeUtf8(pckChain()).length - 4;
    const auth = forged.quote.subarray(436, upToSize);
    const quote = new Writer()
      .bytes(forged.quote.subarray(0, 432))
      .u32le(auth.length + 4 + chain.length)
      .bytes(auth)
      .u32le(chain.length)
      .bytes(chain)
      .finish();
    const { options } = forged;
    assert.equal(await codeOf({ quote, options }, { cache }), 'qereport.signature');
  });

  it('does not serve a CRL to a CA of the same name with another key', async () => {
    const cache = new VerificationCache();
    const publicKey = await spkiOf(stranger);
    const signer = stranger.privateKey;
    const roles = ['pck', 'platformCa', 'root', 'tcbSigning'] as const;
    const evil = await Promise.all(
      roles.map((role) => forgeCertificate(role, { publicKey, signer })),
    );
    const [pck, platformCa, root, tcbSigning] = evil;
    assert.ok(pck && platformCa && root && tcbSigning);
    const chain = pemChain(tcbSigning, root);
    const pckCrl = await forgeCrl({ signer });
    const foreign = await forge('sgx3', {
      ...chainOf(pck, platformCa, root),
      qeSigner: signer,
      documentSigner: signer,
      collateral: {
        tcbInfoChain: chain,
        qeIdentityChain: chain,
        pckCrl,
        rootCaCrl: await forgeCrl({ by: 'root', signer }),
      },
    });
    assert.equal(await codeOf(foreign, { cache, anchors: [{ spki: publicKey }] }), 'ok');
    const own = await forge('sgx3', { collateral: { pckCrl } });
    assert.equal(await codeOf(own, { cache }), 'crl.signature');
  });

  it('keeps nothing of a verification that the world let down', async () => {
    const cache = new VerificationCache();
    const forged = await forge('sgx3');
    const broken: EvidenceCrypto = {
      sha256Hex: (data) => WEB_CRYPTO.sha256Hex(data),
      importP256: () => Promise.reject(new TypeError('no key store')),
    };
    await assert.rejects(verify('sgx3', forged, { cache, crypto: broken }), TypeError);
    assert.equal(cache.pckChains.size, 0);
    assert.equal(await codeOf(forged, { cache }), 'ok');
  });

  it('does not see what a caller writes into a buffer later', async () => {
    const cache = new VerificationCache();
    const forged = await forge('sgx3');
    const pckCrl = forged.options.collateral.pckCrl.slice();
    const spki = await spkiOf(keys.root);
    const anchors = [{ spki }];
    const collateral = { ...forged.options.collateral, pckCrl };
    assert.equal(await codeOf(forged, { cache, collateral, anchors }), 'ok');
    pckCrl.fill(0);
    assert.equal(await codeOf(forged, { cache, collateral, anchors }), 'crl.format');
    assert.equal(await codeOf(forged, { cache, anchors }), 'ok');
    spki.set(await spkiOf(stranger));
    assert.equal(await codeOf(forged, { cache, anchors }), 'pck.chain');
  });

  it('does not let a caller change what it gave out', async () => {
    const cache = new VerificationCache();
    const forged = await forge('sgx3', {
      qeIdentity: (document) => {
        for (const level of levelsOf(document)) level['advisoryIDs'] = ['INTEL-SA-00615'];
      },
    });
    const advisoriesOf = async (): Promise<string[]> => {
      const result = await verify('sgx3', forged, { cache });
      assert.ok(result.ok);
      return (result.claims as { advisoryIds: string[] }).advisoryIds;
    };
    const given = await advisoriesOf();
    assert.throws(() => given.pop(), TypeError);
    assert.deepEqual(await advisoriesOf(), ['INTEL-SA-00615']);
  });

  it('holds no more than it was told', async () => {
    const cache = new VerificationCache({ entries: 1, attestationKeys: 1 });
    for (let i = 0; i < 3; i++) {
      const qeAuthData = new Uint8Array(32).fill(i);
      assert.ok(await isOk(await forge('sgx3', { qeAuthData }), { cache }));
    }
    const { pckChains, pckCas, caCertificates, crls, tcbInfos, qeIdentities } = cache;
    const { attestationKeys } = cache;
    const all = [pckChains, pckCas, caCertificates, crls, tcbInfos, qeIdentities, attestationKeys];
    assert.deepEqual(
      all.map(({ size }) => size),
      [1, 1, 1, 1, 1, 1, 1],
    );
    cache.clear();
    assert.deepEqual(
      all.map(({ size }) => size),
      [0, 0, 0, 0, 0, 0, 0],
    );
  });
});

const grace = (graceSeconds: number) => ({ allowExpiredCollateral: { graceSeconds } });

describe('expired collateral', () => {
  it('passes within the grace that was asked for, and the claims say so', async () => {
    const { quote, options } = await forge('sgx3', {
      collateral: { pckCrl: await forgeCrl({ nextUpdate: new Date(AT.getTime() - 60_000) }) },
    });
    const forged = { quote, options };
    assert.equal(await codeOf(forged, {}), 'crl.expired');
    assert.equal(await codeOf(forged, grace(59)), 'crl.expired');
    assert.equal(await codeOf(forged, grace(Number.NaN)), 'crl.expired');
    const result = await verify('sgx3', forged, grace(60));
    assert.ok(result.ok);
    assert.equal((result.claims as { collateralExpired: boolean }).collateralExpired, true);
  });
});
