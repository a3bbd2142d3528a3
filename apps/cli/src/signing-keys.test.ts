import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  createSimulatedPlatform,
  encodeIntelEndorsements,
  platformCollateral,
  platformRootDigest,
  signingKeyReportData,
  signingQuoteExtension,
  type EvidenceEnvelope,
  type Manifest,
  type SimulatedPlatform,
  type TrustedManifest,
} from '@cloister/attestation';
import { createSimulatedAttester } from '@cloister/attester';
import { encodeBase64, type Bytes } from '@cloister/bytes';
import {
  basicConstraintsExtension,
  createCertificate,
  encodeName,
  jwkFromSpki,
  jwkThumbprint,
} from '@cloister/crypto';
import { CommandError } from './command-error.ts';
import { verifySigningKeys } from './signing-keys.ts';

const BASE = 'https://attestation.example';
const MRENCLAVE = 'ab'.repeat(32);
const at = new Date('2026-01-02T03:04:05Z');
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

describe('verifySigningKeys', () => {
  let platform: SimulatedPlatform;
  let pair: CryptoKeyPair;
  let spki: Bytes;
  let thumbprint: string;

  before(async () => {
    platform = await createSimulatedPlatform({ at, random });
    const es256 = { name: 'ECDSA', namedCurve: 'P-256' };
    pair = await crypto.subtle.generateKey(es256, true, ['sign', 'verify']);
    spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey));
    thumbprint = await jwkThumbprint(jwkFromSpki(spki));
  });

  /** A certificate of the key, with the quote of an enclave with this measurement. */
  const certificate = async (mrenclave: string | undefined, issuer = BASE): Promise<Bytes> => {
    const name = encodeName({ commonName: issuer });
    const extensions = [basicConstraintsExtension({ ca: false })];
    if (mrenclave !== undefined) {
      const attester = createSimulatedAttester({ platform, mrenclave, isvProdId: 100 });
      const quote = await attester.quote(await signingKeyReportData(spki));
      extensions.push(signingQuoteExtension(quote, 'simulated-sgx-quote'));
    }
    return createCertificate({
      subject: name,
      issuer: name,
      serial: '01',
      notBefore: new Date('2025-01-01T00:00:00Z'),
      notAfter: new Date('2035-01-01T00:00:00Z'),
      publicKey: spki,
      signer: pair.privateKey,
      extensions,
    });
  };
  const ask = async (x5c: string[] | undefined, pinned?: string[], status = 200) => {
    const identity = {
      anyOf: [{ tee: 'sgx' as const, mrenclave: [MRENCLAVE], isvProdId: 100, minIsvSvn: 1 }],
    };
    const manifest: Pick<Manifest, 'evidence' | 'services' | 'issuers'> = {
      evidence: { roots: { simulated: [await platformRootDigest(platform)] }, platforms: 'any' },
      services: { attestation: { identity } },
      issuers:
        pinned === undefined
          ? []
          : [{ iss: BASE, keys: pinned } as unknown as Manifest['issuers'][0]],
    };
    const endorsements = encodeIntelEndorsements(platformCollateral(platform));
    return verifySigningKeys(`${BASE}/`, {
      manifest: { id: '', manifest } as unknown as TrustedManifest,
      envelope: { endorsements } as unknown as EvidenceEnvelope,
      transport: ({ url }) => {
        assert.equal(url, `${BASE}/certs`);
        const keys = x5c === undefined ? [] : [{ kid: 'k', kty: 'EC', x5c }];
        return Promise.resolve(Response.json({ keys }, { status }));
      },
      at,
    });
  };

  it('takes a key that an admitted enclave holds, and that the manifest names', async () => {
    const x5c = [encodeBase64(await certificate(MRENCLAVE))];
    for (const pinned of [undefined, [thumbprint]]) {
      const [result] = await ask(x5c, pinned);
      assert.ok(result?.ok, JSON.stringify(result));
    }
  });

  const refused: Readonly<Record<string, [string, () => Promise<Bytes>, string[]?]>> = {
    'a key that the manifest does not name': [
      'key_not_pinned',
      () => certificate(MRENCLAVE),
      ['other'],
    ],
    'the key of an enclave that is not admitted': [
      'measurement_not_agreed',
      () => certificate('cd'.repeat(32)),
    ],
    'a key without evidence': ['certificate_no_evidence', () => certificate(undefined)],
    'a key of another issuer': [
      'certificate_name',
      () => certificate(MRENCLAVE, 'https://other.example'),
    ],
    'a certificate that is none': [
      'certificate_malformed',
      () => Promise.resolve(new Uint8Array([1, 2, 3])),
    ],
  };
  for (const [what, [code, make, pinned]] of Object.entries(refused))
    it(`refuses ${what}`, async () => {
      const [result] = await ask([encodeBase64(await make())], pinned);
      assert.equal(result?.ok, false);
      assert.equal(result.code, code);
    });

  it('says that there are no keys to check', async () => {
    await assert.rejects(ask(undefined), CommandError);
    await assert.rejects(ask(['AA=='], undefined, 500), CommandError);
  });
});
