import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { decodeBase64, encodeHex, encodePem, encodeUtf8, type Bytes } from '@cloister/bytes';
import { createCertificate, encodeName, parseCertificate, sha256 } from '@cloister/crypto';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import type { IntelCollateral } from '../intel/collateral.ts';
import { createSimulatedPlatform } from '../simulated/create-platform.ts';
import { createSimulatedQuote } from '../simulated/create-quote.ts';
import { platformCollateral, platformRootDigest } from '../simulated/simulated-platform.ts';
import {
  signingKeyReportData,
  signingQuoteExtension,
  verifySigningCertificate,
} from './signing-certificate.ts';

const file = (path: string): Bytes => new Uint8Array(readFileSync(shared(`vectors/${path}`)));
const text = (path: string): string => readFileSync(shared(`vectors/${path}`), 'utf8');

/** Intel's collateral of 2022, for the machines of Azure Attestation. */
const collateral2022 = (): IntelCollateral => ({
  tcbInfo: text('sgx/collateral/tcbinfo-00906ed50000-v2-ev12-2022-04-26.json'),
  tcbInfoChain: text('sgx/collateral/tcb-signing-2018.pem'),
  qeIdentity: text('sgx/collateral/qe-ev12-2022-04-26.json'),
  qeIdentityChain: text('sgx/collateral/tcb-signing-2018.pem'),
  pckCrl: file('sgx/collateral/crl-processor-2022-04-26-79b0c6.der'),
  rootCaCrl: file('sgx/collateral/crl-root-2022-04-19-ef604c.der'),
});
const AT_2022 = new Date('2022-05-11T23:03:47Z');

describe("Azure Attestation's own certificates", { skip: sharedMissing }, () => {
  for (const instance of ['shared', 'aad', 'isolated'] as const)
    it(`of the ${instance} instance of 2022 prove the enclave with the key`, async () => {
      const { keys } = JSON.parse(text(`maa/tokens/certs-${instance}.json`)) as {
        keys: { kid: string; x5c: string[] }[];
      };
      const [key] = keys;
      const der = decodeBase64(key?.x5c[0] ?? '');
      const { spki, subjectCommonName: issuer = '' } = parseCertificate(der);
      const kid = Buffer.from((await signingKeyReportData(spki)).subarray(0, 32));
      assert.equal(kid.toString('base64'), key?.kid);
      const trust = { roots: 'hardware', at: AT_2022, collateral: collateral2022() } as const;
      const result = await verifySigningCertificate(der, { issuer, ...trust });
      assert.ok(result.ok, JSON.stringify(result.checks.filter(({ code }) => code)));
      const { claims } = result.claims;
      assert.ok(claims.tee === 'sgx');
      assert.equal(
        claims.mrsigner,
        '74ba5fba208571cf99e1f7158e6536a05bbb6ce7807eef8f6a97f64a7af64b83',
      );
      assert.deepEqual([claims.isvProdId, claims.isvSvn], [1, 1]);
    });

  it('of 2020, with the older extension, do so too', async () => {
    const der = file('maa/certs/sample.signing.cert.der');
    const { subjectCommonName: issuer = '' } = parseCertificate(der);
    const trust = { roots: 'hardware', at: AT_2022, collateral: collateral2022() } as const;
    const { checks } = await verifySigningCertificate(der, { issuer, ...trust });
    const named = checks.find(({ check }) => check === 'certificate carries evidence');
    assert.equal(named?.outcome, 'passed');
  });

  it('are refused when the key is another', async () => {
    const { keys } = JSON.parse(text('maa/tokens/certs-shared.json')) as {
      keys: { x5c: string[] }[];
    };
    const der = decodeBase64(keys[0]?.x5c[0] ?? '');
    const { subjectCommonName: issuer = '', extensions } = parseCertificate(der);
    const stolen = extensions.get('1.3.6.1.4.1.311.105.1')?.value ?? assert.fail();
    const forged = await selfSigned(issuer, [{ oid: '1.3.6.1.4.1.311.105.1', value: stolen }]);
    const trust = { roots: 'hardware', at: AT_2022, collateral: collateral2022() } as const;
    const result = await verifySigningCertificate(forged.der, { issuer, ...trust });
    assert.ok(!result.ok);
    assert.equal(result.code, 'certificate_key');
  });
});

const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
};
const ISSUER = 'https://attestation.example';
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

interface Made {
  readonly der: Bytes;
  readonly spki: Bytes;
}

async function selfSigned(
  commonName: string,
  extensions: Parameters<typeof createCertificate>[0]['extensions'],
  given?: CryptoKeyPair,
  signer?: CryptoKey,
): Promise<Made> {
  const pair = given ?? (await crypto.subtle.generateKey(RSA, true, ['sign', 'verify']));
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey));
  const name = encodeName({ commonName });
  const der = await createCertificate({
    subject: name,
    issuer: name,
    serial: '01',
    notBefore: new Date('2019-05-01T00:00:00Z'),
    notAfter: new Date('2050-01-01T00:00:00Z'),
    publicKey: spki,
    signer: signer ?? pair.privateKey,
    extensions,
  });
  return { der, spki };
}

describe('verifySigningCertificate', () => {
  const at = new Date('2026-01-02T03:04:05Z');
  let pair: CryptoKeyPair;
  let other: CryptoKeyPair;
  let spki: Bytes;
  let trust: Parameters<typeof verifySigningCertificate>[1];
  let make: (reportData: Bytes) => Promise<Parameters<typeof selfSigned>[1]>;

  before(async () => {
    const platform = await createSimulatedPlatform({ at, random });
    pair = await crypto.subtle.generateKey(RSA, true, ['sign', 'verify']);
    other = await crypto.subtle.generateKey(RSA, true, ['sign', 'verify']);
    spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey));
    trust = {
      issuer: ISSUER,
      roots: { simulated: [await platformRootDigest(platform)] },
      at,
      collateral: platformCollateral(platform),
    };
    make = async (reportData) => {
      const facts = {
        mrenclave: '1a'.repeat(32),
        mrsigner: '2b'.repeat(32),
        isvProdId: 1,
        isvSvn: 1,
      };
      const quote = await createSimulatedQuote(platform, { ...facts, reportData });
      return [signingQuoteExtension(quote, 'simulated-sgx-quote')];
    };
  });

  it('takes a certificate whose evidence names its key', async () => {
    const extensions = await make(await signingKeyReportData(spki));
    const { der } = await selfSigned(ISSUER, extensions, pair);
    const result = await verifySigningCertificate(der, trust);
    assert.ok(result.ok, JSON.stringify(result.checks));
    assert.deepEqual(result.claims.spki, spki);
    assert.equal(result.claims.claims.simulated, true);
  });

  it('names the key by its PEM and a NUL', async () => {
    const digest = await sha256(encodeUtf8(`${encodePem('PUBLIC KEY', spki)}\0`));
    assert.equal(
      encodeHex(await signingKeyReportData(spki)),
      `${encodeHex(digest)}${'00'.repeat(32)}`,
    );
  });

  const refused: Readonly<
    Record<string, [string, () => Promise<[Uint8Array, Partial<typeof trust>]>]>
  > = {
    'bytes that are none': ['certificate_malformed', async () => [Uint8Array.of(1, 2), {}]],
    'a certificate that another key signed': [
      'certificate_signature',
      async () => {
        const extensions = await make(await signingKeyReportData(spki));
        return [(await selfSigned(ISSUER, extensions, pair, other.privateKey)).der, {}];
      },
    ],
    'one for another issuer': [
      'certificate_name',
      async () => {
        const extensions = await make(await signingKeyReportData(spki));
        return [(await selfSigned('https://other.example', extensions, pair)).der, {}];
      },
    ],
    'one out of date': [
      'certificate_expired',
      async () => {
        const extensions = await make(await signingKeyReportData(spki));
        const { der } = await selfSigned(ISSUER, extensions, pair);
        return [der, { at: new Date('2018-01-01T00:00:00Z') }];
      },
    ],
    'one without evidence': [
      'certificate_no_evidence',
      async () => {
        const { der } = await selfSigned(ISSUER, [{ oid: '2.999.1', value: Uint8Array.of(5, 0) }]);
        return [der, {}];
      },
    ],
    'one with evidence that is cut off': [
      'certificate_no_evidence',
      async () => {
        const [extension] = await make(await signingKeyReportData(spki));
        const cut = {
          oid: extension?.oid ?? '',
          value: extension?.value.slice(0, -1) ?? assert.fail(),
        };
        return [(await selfSigned(ISSUER, [cut], pair)).der, {}];
      },
    ],
    'simulated evidence where hardware counts': [
      'format_not_agreed',
      async () => {
        const extensions = await make(await signingKeyReportData(spki));
        return [(await selfSigned(ISSUER, extensions, pair)).der, { roots: 'hardware' }];
      },
    ],
    'simulated evidence that is labelled as real': [
      'format_not_agreed',
      async () => {
        const [extension] = await make(await signingKeyReportData(spki));
        const real = { oid: '1.3.6.1.4.1.311.105.1', value: extension?.value ?? assert.fail() };
        return [(await selfSigned(ISSUER, [real], pair)).der, {}];
      },
    ],
    'evidence for another key': [
      'certificate_key',
      async () => {
        const extensions = await make(await signingKeyReportData(spki));
        return [(await selfSigned(ISSUER, extensions, other)).der, {}];
      },
    ],
    'evidence with more in its report data': [
      'certificate_key',
      async () => {
        const reportData = await signingKeyReportData(spki);
        reportData[63] = 1;
        return [(await selfSigned(ISSUER, await make(reportData), pair)).der, {}];
      },
    ],
  };
  for (const [what, [code, prepare]] of Object.entries(refused))
    it(`refuses ${what}`, async () => {
      const [der, changes] = await prepare();
      const result = await verifySigningCertificate(der, { ...trust, ...changes });
      assert.ok(!result.ok);
      assert.equal(result.code, code);
    });
});
