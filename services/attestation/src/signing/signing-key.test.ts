import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { openSealedSecrets, type SimulatedMachine } from '@cloister/attester';
import { decodeBase64, encodeHex, encodePem } from '@cloister/bytes';
import { parseCertificate, verifyCertificateSignature } from '@cloister/crypto';
import { X509Certificate } from 'node:crypto';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { key } from '../fixture.test.ts';
import { openSigningKey } from './kept-key.ts';
import { certify, kidOf } from './signing-key.ts';

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
  it('makes a self-signed certificate that other readers take', async () => {
    const at = new Date('2026-01-02T03:04:05.678Z');
    const der = await certify(key, 'http://127.0.0.1:8080', at);
    const certificate = parseCertificate(der);
    assert.ok(await verifyCertificateSignature(certificate, key.spki));
    assert.equal(certificate.serial, '01');
    assert.ok(certificate.notBefore < at && at < certificate.notAfter);
    const other = new X509Certificate(encodePem('CERTIFICATE', der));
    assert.equal(other.subject, 'CN=http://127.0.0.1:8080');
    assert.equal(other.ca, false);
    assert.ok(other.verify(other.publicKey));
  });
});

describe('openSigningKey', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-key-'));
  after(() => rmSync(folder, { recursive: true }));
  const sealed = (fill: number) =>
    openSealedSecrets({
      folder,
      platform: { sealingRoot: new Uint8Array(32).fill(fill) } as unknown as SimulatedMachine,
      mrsigner: 'aa',
      isvProdId: 100,
    });

  it('keeps the key across starts, sealed', async () => {
    const first = await openSigningKey(sealed(1));
    const second = await openSigningKey(sealed(1));
    assert.equal(second.kid, first.kid);
    assert.equal(second.thumbprint, first.thumbprint);
    assert.deepEqual(readdirSync(folder), ['token-signing-key.sealed']);
    const file = readFileSync(join(folder, 'token-signing-key.sealed'));
    assert.ok(!encodeHex(file).includes(encodeHex(first.spki.subarray(30, 60))));
    await assert.rejects(crypto.subtle.exportKey('pkcs8', second.privateKey));
  });

  it('does not replace a key that it cannot open', async () => {
    await assert.rejects(openSigningKey(sealed(2)), { code: 'secret_tampered' });
  });

  it('makes a key for one run where nothing keeps it', async () => {
    const [first, second] = await Promise.all([
      openSigningKey(undefined),
      openSigningKey(undefined),
    ]);
    assert.notEqual(first.kid, second.kid);
  });
});
