import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, it } from 'node:test';
import { decodeBase64, encodeHex, encodePem, MalformedError } from '@cloister/bytes';
import * as peculiar from '@peculiar/x509';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import {
  parseCertificate,
  parseCertificateChain,
  verifyCertificateSignature,
  type Certificate,
} from './certificate.ts';
import { parseCrl, verifyCrlSignature } from './crl.ts';
import { checkPath, verifyPath } from './path.ts';
import { createKeyCache } from './verify-key.ts';

const files = (pattern: string) =>
  sharedMissing
    ? []
    : globSync(shared(pattern))
        .toSorted()
        .map((path) => ({
          path,
          name: basename(path),
          bytes: () => new Uint8Array(readFileSync(path)),
        }));

const certificateFiles = [
  ...files('vectors/roots/*.der'),
  ...files('vectors/snp/certs/*.der'),
  ...files('vectors/maa/certs/*.der'),
];
const crlFiles = [
  ...files('vectors/sgx/collateral/crl-*.der'),
  ...files('vectors/synthetic/collateral/crl-*.der'),
];

/** Every PEM certificate in the vectors, those inside quotes too; each once. */
function collectPemCertificates(): Map<string, Certificate> {
  const all = new Map<string, Certificate>();
  const patterns = [
    'sgx/quotes/*',
    'tdx/quotes/*',
    'sgx/collateral/*.pem',
    'synthetic/collateral/*.pem',
  ];
  for (const { path } of patterns.flatMap((pattern) => files(`vectors/${pattern}`))) {
    const text = readFileSync(path, 'latin1');
    const blocks =
      text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
    for (const block of blocks) {
      const [certificate] = parseCertificateChain(block, path);
      if (certificate) all.set(encodeHex(certificate.der), certificate);
    }
  }
  return all;
}

/**
 * As PEM: given DER, node:crypto looks for PEM inside it first, and Azure's certificates hold a
 * quote that holds PEM certificates.
 */
function openPeer({ der }: Certificate): X509Certificate {
  return new X509Certificate(encodePem('CERTIFICATE', der));
}

const nameOf = (text: string) => /^CN=(.*)$/m.exec(text)?.[1];

/** What other implementations say about the same certificate. */
function compare(certificate: Certificate): void {
  const peer = openPeer(certificate);
  // OpenSSL writes zero as one digit.
  assert.equal(certificate.serial, peer.serialNumber.toLowerCase().padStart(2, '0'));
  assert.equal(+certificate.notBefore, Date.parse(peer.validFrom));
  assert.equal(+certificate.notAfter, Date.parse(peer.validTo));
  assert.equal(certificate.basicConstraints?.ca ?? false, peer.ca);
  assert.equal(certificate.subjectCommonName, nameOf(peer.subject));
  assert.equal(certificate.issuerCommonName, nameOf(peer.issuer));
  const spki = peer.publicKey.export({ type: 'spki', format: 'der' });
  assert.equal(encodeHex(certificate.spki), spki.toString('hex'));

  const other = new peculiar.X509Certificate(certificate.der);
  assert.equal(+certificate.notAfter, +other.notAfter);
  assert.equal(
    encodeHex(certificate.subject),
    Buffer.from(other.subjectName.toArrayBuffer()).toString('hex'),
  );
  assert.equal(
    encodeHex(certificate.issuer),
    Buffer.from(other.issuerName.toArrayBuffer()).toString('hex'),
  );
  assert.deepEqual(
    [...certificate.extensions].map(([oid, { critical, value }]) => [
      oid,
      critical,
      encodeHex(value),
    ]),
    Array.from(other.extensions, ({ type, critical, value }) => [
      type,
      critical,
      Buffer.from(value).toString('hex'),
    ]),
  );
}

describe('certificates of the vectors', { skip: sharedMissing }, () => {
  it('are there', () => {
    assert.ok(certificateFiles.length > 25 && crlFiles.length > 100);
  });

  for (const { name, bytes } of certificateFiles) {
    it(`${name} is read as node:crypto and @peculiar/x509 read it`, () => {
      compare(parseCertificate(bytes(), name));
    });
  }

  it('those in quotes and PEM files are read so too', () => {
    const all = collectPemCertificates();
    assert.ok(all.size > 40, `${all.size}`);
    for (const certificate of all.values()) compare(certificate);
  });

  it('those of Azure Attestation are read so too, and are signed with their own key', async () => {
    const sets = files('vectors/maa/tokens/certs-*.json');
    let count = 0;
    for (const { path } of sets) {
      const { keys } = JSON.parse(readFileSync(path, 'utf8')) as { keys: { x5c: string[] }[] };
      for (const text of keys.flatMap(({ x5c }) => x5c.slice(0, 1))) {
        const certificate = parseCertificate(decodeBase64(text));
        compare(certificate);
        const peer = openPeer(certificate);
        const verified = await verifyCertificateSignature(certificate, certificate.spki);
        // Keys of 1024 bits verify nothing here, whatever OpenSSL says.
        const long = (peer.publicKey.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048;
        assert.equal(verified, long && peer.verify(peer.publicKey));
        count += 1;
      }
    }
    assert.ok(count > 5, `${count}`);
  });
});

describe('AMD certification paths', { skip: sharedMissing }, () => {
  const roots = files('vectors/roots/amd-*.der').map(({ bytes, name }) =>
    parseCertificate(bytes(), name),
  );
  const cache = createKeyCache();

  it('every VEK verifies under exactly one ASK or ASVK, and that under its ARK', async () => {
    const paths: string[] = [];
    for (const { name, bytes } of files('vectors/snp/certs/*.der')) {
      const leaf = parseCertificate(bytes(), name);
      assert.equal(leaf.serial, '00');
      assert.equal(leaf.keyUsage, undefined);
      const ask = roots.find((root) => root.subjectCommonName === leaf.issuerCommonName);
      assert.ok(ask, `${name}: ${leaf.issuerCommonName}`);
      const ark = roots.find((root) => root.subjectCommonName === ask.issuerCommonName);
      assert.ok(ark);
      const at = leaf.notAfter;
      const options = { at, anchorSpki: ark.spki, anchorName: ark.subject, cache };
      assert.deepEqual(await verifyPath([leaf, ask], options), [], name);
      for (const other of roots.filter((root) => root !== ask)) {
        assert.equal(await verifyCertificateSignature(leaf, other.spki, cache), false);
      }
      paths.push(String(ark.subjectCommonName));
    }
    assert.deepEqual([...new Set(paths)].toSorted(), ['ARK-Genoa', 'ARK-Milan', 'ARK-Turin']);
  });

  it('every ARK signed itself, and node:crypto agrees', async () => {
    for (const ark of roots.filter((root) => root.subjectCommonName?.startsWith('ARK') === true)) {
      const peer = openPeer(ark);
      assert.equal(peer.verify(peer.publicKey), true);
      assert.equal(await verifyCertificateSignature(ark, ark.spki), true);
    }
  });
});

describe('Intel certification paths', { skip: sharedMissing }, () => {
  const all = sharedMissing ? [] : [...collectPemCertificates().values()];
  const roots = files('vectors/roots/*-root.der').map(({ bytes }) => parseCertificate(bytes()));
  const cache = createKeyCache();
  const issuersOf = (issuer: string | undefined) =>
    [...all, ...roots].filter((certificate) => certificate.subjectCommonName === issuer);

  it('verify exactly where node:crypto verifies', async () => {
    let good = 0;
    for (const certificate of all) {
      const peer = openPeer(certificate);
      for (const issuer of issuersOf(certificate.issuerCommonName)) {
        const expected = peer.verify(openPeer(issuer).publicKey);
        const verified = await verifyCertificateSignature(certificate, issuer.spki, cache);
        assert.equal(verified, expected);
        if (verified) good += 1;
      }
    }
    assert.ok(good >= all.length - 5, `${good} of ${all.length}`);
  });

  it('every PCK certificate has a path to a pinned root', async () => {
    const cas = all.filter(
      (c) => c.basicConstraints?.ca === true && c.subjectCommonName?.includes('PCK') === true,
    );
    const leaves = all.filter((c) => c.subjectCommonName === 'Intel SGX PCK Certificate');
    assert.ok(leaves.length > 20, `${leaves.length}`);
    for (const leaf of leaves) {
      let found = false;
      for (const ca of cas) {
        for (const root of roots) {
          const options = {
            at: leaf.notBefore,
            anchorSpki: root.spki,
            anchorName: root.subject,
            cache,
          };
          found ||= (await verifyPath([leaf, ca], options)).length === 0;
        }
      }
      assert.ok(found, leaf.serial);
      // The extension of section 2.4 of spec/evidence.md.
      assert.ok(leaf.extensions.has('1.2.840.113741.1.13.1'));
    }
  });

  it('the rules alone find nothing wrong with a TCB signing path', () => {
    for (const { path } of files('vectors/sgx/collateral/tcb-signing-*.pem')) {
      const [signer, root] = parseCertificateChain(readFileSync(path, 'latin1'));
      assert.ok(signer && root);
      assert.deepEqual(checkPath([signer], { at: signer.notBefore, anchorName: root.subject }), []);
    }
  });
});

describe('CRLs of the vectors', { skip: sharedMissing }, () => {
  const all = sharedMissing ? [] : [...collectPemCertificates().values()];
  const roots = files('vectors/roots/*-root.der').map(({ bytes }) => parseCertificate(bytes()));

  for (const { name, bytes } of crlFiles) {
    it(`${name} is read as @peculiar/x509 reads it`, () => {
      const crl = parseCrl(bytes(), name);
      const peer = new peculiar.X509Crl(bytes());
      assert.deepEqual(
        [...crl.revoked].toSorted(),
        [
          ...new Set(peer.entries.map(({ serialNumber }) => serialNumber.replace(/^00(?=.)/, ''))),
        ].toSorted(),
      );
      assert.equal(+crl.thisUpdate, +peer.thisUpdate);
      assert.equal(crl.nextUpdate && +crl.nextUpdate, peer.nextUpdate && +peer.nextUpdate);
      assert.equal(crl.extensions.size, peer.extensions.length);
    });
  }

  it('every genuine list verifies with its issuer, and with no other CA', async () => {
    const cache = createKeyCache();
    const issuers = [...all.filter((c) => c.basicConstraints?.ca === true), ...roots];
    for (const { name, bytes } of files('vectors/sgx/collateral/crl-*.der')) {
      const crl = parseCrl(bytes(), name);
      let good = 0;
      for (const issuer of issuers) {
        const verified = await verifyCrlSignature(crl, issuer.spki, cache);
        if (verified) assert.deepEqual(issuer.subject, crl.issuer);
        good += verified ? 1 : 0;
      }
      assert.ok(good > 0, name);
    }
  });

  it('the garbage one is refused', () => {
    const [garbage] = files('vectors/sgx/negative/*garbage*.der');
    assert.ok(garbage);
    assert.throws(() => parseCrl(garbage.bytes()), MalformedError);
  });
});
