import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import {
  createSimulatedPlatform,
  platformCollateral,
  platformRootDigest,
  verifySigningCertificate,
} from '@cloister/attestation';
import {
  createSimulatedAttester,
  openSealedSecrets,
  type Secrets,
  type SimulatedMachine,
} from '@cloister/attester';
import { decodeBase64, encodeHex, encodePem } from '@cloister/bytes';
import { parseCertificate, verifyCertificateSignature, verifyJws } from '@cloister/crypto';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { key, random } from '../fixture.test.ts';
import { signPayload } from '../tokens/sign-payload.ts';
import { openKeyRing } from './key-ring.ts';
import { certify } from './signing-certificate.ts';
import { kidOf, type TokenAlgorithm } from './signing-key.ts';

describe('kidOf', { skip: sharedMissing }, () => {
  for (const name of ['shared', 'aad', 'isolated'])
    it(`gives the kid of the real ${name} instance's enclave key`, async () => {
      const file = readFileSync(shared(`vectors/maa/tokens/certs-${name}.json`), 'utf8');
      const { keys } = JSON.parse(file) as { keys: { kid: string; x5c: string[] }[] };
      const [enclave] = keys;
      const certificate = parseCertificate(decodeBase64(enclave?.x5c[0] ?? ''));
      assert.equal(await kidOf(certificate.spki), enclave?.kid);
    });
});

describe('certify', () => {
  const at = new Date('2026-01-02T03:04:05.678Z');
  const baseUrl = 'http://127.0.0.1:8080';

  it('makes a self-signed certificate that other readers take', async () => {
    const der = await certify(key, { baseUrl, at });
    const certificate = parseCertificate(der);
    assert.ok(await verifyCertificateSignature(certificate, key.spki));
    assert.equal(certificate.serial, '01');
    assert.ok(certificate.notBefore < at && at < certificate.notAfter);
    const other = new X509Certificate(encodePem('CERTIFICATE', der));
    assert.equal(other.subject, `CN=${baseUrl}`);
    assert.equal(other.ca, false);
    assert.ok(other.verify(other.publicKey));
    assert.equal(certificate.extensions.has('1.3.6.1.4.1.311.105.1'), false);
  });

  it('carries the quote of the enclave, which is not taken for one of real hardware', async () => {
    const platform = await createSimulatedPlatform({ at, random });
    const attester = createSimulatedAttester({
      platform,
      mrenclave: 'ab'.repeat(32),
      isvProdId: 100,
    });
    const der = await certify(key, { baseUrl, at, attester });
    assert.equal(parseCertificate(der).extensions.has('1.3.6.1.4.1.311.105.1'), false);
    const common = { issuer: baseUrl, at, collateral: platformCollateral(platform) };
    const simulated = [await platformRootDigest(platform)];
    const result = await verifySigningCertificate(der, { ...common, roots: { simulated } });
    assert.ok(result.ok, JSON.stringify(result.checks));
    const { claims } = result.claims;
    assert.ok(claims.tee === 'sgx' && claims.mrenclave === 'ab'.repeat(32));
    assert.ok(!(await verifySigningCertificate(der, { ...common, roots: 'hardware' })).ok);
  });
});

describe('openKeyRing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-key-'));
  after(() => rmSync(folder, { recursive: true }));
  const sealed = (fill: number, name = 'one') =>
    openSealedSecrets({
      folder: join(folder, name),
      platform: { sealingRoot: new Uint8Array(32).fill(fill) } as unknown as SimulatedMachine,
      mrsigner: 'aa',
      isvProdId: 100,
    });
  let seconds = 1_000_000;
  const open = (secrets: Required<Secrets> | undefined, alg: TokenAlgorithm = 'ES256') =>
    openKeyRing({
      alg,
      secrets,
      certify: () => Promise.resolve(new Uint8Array()),
      now: () => new Date(seconds * 1000),
      overlapSeconds: 100,
    });

  it('keeps the key across starts, sealed', async () => {
    const first = (await open(sealed(1))).current();
    const second = (await open(sealed(1))).current();
    assert.equal(second.kid, first.kid);
    assert.equal(second.thumbprint, first.thumbprint);
    assert.deepEqual(readdirSync(join(folder, 'one')), ['token-signing-keys.sealed']);
    const file = readFileSync(join(folder, 'one', 'token-signing-keys.sealed'));
    assert.ok(!encodeHex(file).includes(encodeHex(first.spki.subarray(30, 60))));
    await assert.rejects(crypto.subtle.exportKey('pkcs8', second.privateKey));
  });

  it('does not replace a key that it cannot open', async () => {
    await assert.rejects(open(sealed(2)), { code: 'secret_tampered' });
  });

  it('makes a key for one run where nothing keeps it', async () => {
    const [first, second] = await Promise.all([open(undefined), open(undefined)]);
    assert.notEqual(first.current().kid, second.current().kid);
  });

  it('publishes a new key before it signs, and an old one until its tokens have ended', async () => {
    const ring = await open(sealed(1, 'rotated'));
    const replica = await open(sealed(1, 'rotated'));
    const kids = () => ring.published().map(({ kid }) => kid);
    const old = ring.current().kid;
    const { kid, from } = await ring.rotate();
    assert.equal(from, seconds + 100);
    assert.deepEqual(kids(), [old, kid]);
    assert.equal(ring.current().kid, old);
    await replica.reload();
    assert.deepEqual(
      replica.published().map((one) => one.kid),
      [old, kid],
    );
    seconds += 100;
    assert.equal(ring.current().kid, kid);
    assert.equal(replica.current().kid, kid);
    assert.deepEqual(kids(), [kid, old]);
    seconds += 28_800 + 3599;
    assert.deepEqual(kids(), [kid, old]);
    seconds += 1;
    assert.deepEqual(kids(), [kid]);
    // A later start reads the same; what ended is dropped with the next change.
    assert.equal((await open(sealed(1, 'rotated'))).current().kid, kid);
  });

  it('makes a key of another algorithm when that is wanted, and keeps the older published', async () => {
    const ring = await open(sealed(1), 'RS256');
    assert.deepEqual(
      ring.published().map(({ alg }) => alg),
      ['RS256', 'ES256'],
    );
    const token = signPayload({ a: 1 }, ring.current(), { baseUrl: 'https://x.example' });
    const { jwk } = ring.current();
    assert.ok((await verifyJws(token, { key: jwk, algs: ['RS256'] })).ok);
  });

  it('signs ES256 as JWS wants it', async () => {
    const { jwk, kid, ...rest } = (await open(undefined)).current();
    const token = signPayload({ a: 1 }, { jwk, kid, ...rest }, { baseUrl: 'https://x.example' });
    const verdict = await verifyJws(token, { key: jwk, algs: ['ES256'] });
    assert.ok(verdict.ok);
    assert.deepEqual(verdict.header, {
      alg: 'ES256',
      jku: 'https://x.example/certs',
      kid,
      typ: 'JWT',
    });
  });
});
