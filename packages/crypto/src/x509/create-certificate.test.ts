import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { MalformedError } from '@cloister/bytes';
import * as peculiar from '@peculiar/x509';
import { AT, certify } from '../../tests/make-pki.ts';
import { createCertificate } from './create-certificate.ts';
import {
  basicConstraintsExtension,
  crlDistributionPointsExtension,
  dnsNamesExtension,
} from './encode-extensions.ts';
import { encodeName } from './name.ts';

const modulus = { modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };

describe('createCertificate', () => {
  for (const algorithm of [
    { name: 'ECDSA', namedCurve: 'P-256' },
    { name: 'ECDSA', namedCurve: 'P-384' },
    { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', ...modulus },
    { name: 'RSA-PSS', hash: 'SHA-384', ...modulus },
  ]) {
    it(`makes what OpenSSL and @peculiar/x509 read and verify: ${Object.values(algorithm).slice(0, 2).join(' ')}`, async () => {
      const root = await certify('Root', undefined, { ca: true, algorithm });
      const leaf = await certify('Leaf', root, {
        serial: '00ab01',
        more: [
          crlDistributionPointsExtension('https://ca.example/crl'),
          dnsNamesExtension('a.example', 'b.example'),
        ],
      });
      const [peer, issuer] = [leaf, root].map(
        ({ certificate }) => new X509Certificate(certificate.der),
      );
      assert.ok(peer && issuer);
      assert.equal(peer.verify(issuer.publicKey), true);
      assert.equal(peer.checkIssued(issuer), true);
      assert.equal(peer.serialNumber, 'AB01');
      assert.equal(peer.subjectAltName, 'DNS:a.example, DNS:b.example');
      assert.equal(issuer.ca, true);
      assert.equal(peer.ca, false);
      const other = new peculiar.X509Certificate(leaf.certificate.der);
      const points = other.getExtension(peculiar.CRLDistributionPointsExtension);
      const url =
        points?.distributionPoints[0]?.distributionPoint?.fullName?.[0]?.uniformResourceIdentifier;
      assert.equal(url, 'https://ca.example/crl');
    });
  }

  it('refuses keys that sign no certificates, and serials that are no hex', async () => {
    const root = await certify('Root', undefined, { ca: true });
    const name = encodeName({ commonName: 'x' });
    const base = {
      subject: name,
      issuer: name,
      serial: Uint8Array.of(1),
      notBefore: AT,
      notAfter: AT,
      publicKey: root.spki,
      extensions: [basicConstraintsExtension({ ca: false })],
    };
    const keys = [
      await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-521' }, true, [
        'sign',
        'verify',
      ]),
      await crypto.subtle.generateKey({ name: 'RSA-PSS', hash: 'SHA-512', ...modulus }, true, [
        'sign',
        'verify',
      ]),
      await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits']),
    ];
    for (const { privateKey } of keys) {
      await assert.rejects(createCertificate({ ...base, signer: privateKey }), TypeError);
    }
    const signer = root.keys.privateKey;
    await assert.rejects(createCertificate({ ...base, signer, serial: 'xy' }), MalformedError);
    const far = new Date('+010000-01-01T00:00:00Z');
    await assert.rejects(createCertificate({ ...base, signer, notAfter: far }), RangeError);
  });
});
