import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { createTlsKey, tlsName } from './tls-key.ts';

const make = () =>
  createTlsKey({
    service: 'cache',
    now: () => new Date('2026-11-24T12:00:00Z'),
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
  });

describe('createTlsKey', () => {
  it('makes a key, a certificate that it signs itself, and the digest of its SPKI', async () => {
    const { cert, key, spkiSha256 } = await make();
    const certificate = new X509Certificate(cert);
    const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
    assert.equal(createHash('sha256').update(spki).digest('hex'), spkiSha256);
    assert.ok(certificate.verify(certificate.publicKey));
    assert.ok(certificate.checkPrivateKey(createPrivateKey(key)));
    assert.deepEqual(createPublicKey(key).export({ type: 'spki', format: 'der' }), spki);
    assert.equal(certificate.checkHost(tlsName('cache')), tlsName('cache'));
    assert.ok(!certificate.ca);
  });

  it('makes another key each time', async () => {
    const [one, other] = await Promise.all([make(), make()]);
    assert.notEqual(one.spkiSha256, other.spkiSha256);
    assert.notEqual(
      new X509Certificate(one.cert).serialNumber,
      new X509Certificate(other.cert).serialNumber,
    );
  });
});
