import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { DER, encodeDer, encodeUtf8, MalformedError, type Bytes } from '@cloister/bytes';
import { certify } from '../../tests/make-pki.ts';
import { alternativeNamesExtension, readAlternativeNames } from './alternative-names.ts';
import { extendedKeyUsageExtension } from './encode-extensions.ts';
import { EXTENSION } from './extensions.ts';

const URI = 'cloister://lamna/records';
const read = (value: Bytes) =>
  readAlternativeNames(new Map([[EXTENSION.SUBJECT_ALTERNATIVE_NAME, { critical: false, value }]]));
const seq = (...parts: Bytes[]) => encodeDer(DER.SEQUENCE, ...parts);

describe('alternative names', () => {
  it('are what OpenSSL reads, with the purposes of the key, and what we read', async () => {
    const names = { uris: [URI], dnsNames: ['records.cloister.internal'] };
    const root = await certify('Root', undefined, { ca: true });
    const { certificate } = await certify('Leaf', root, {
      more: [
        alternativeNamesExtension(names),
        extendedKeyUsageExtension('serverAuth', 'clientAuth'),
      ],
    });
    const other = new X509Certificate(certificate.der);
    assert.equal(other.subjectAltName, `URI:${URI}, DNS:records.cloister.internal`);
    assert.deepEqual(other.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    assert.deepEqual(readAlternativeNames(certificate.extensions), names);
  });

  it('are none where there is no extension; without a name there is no extension', () => {
    assert.deepEqual(readAlternativeNames(new Map()), { uris: [], dnsNames: [] });
    assert.throws(() => alternativeNamesExtension({ uris: [], dnsNames: [] }), RangeError);
  });

  it('of other kinds are passed over', () => {
    const ip = encodeDer(0x87, Uint8Array.of(127, 0, 0, 1));
    assert.deepEqual(read(seq(ip, encodeDer(0x86, encodeUtf8(URI)))).uris, [URI]);
  });

  for (const [title, value] of Object.entries({
    'no names': seq(),
    'an empty name': seq(encodeDer(0x86)),
    'a NUL in a name': seq(encodeDer(0x82, encodeUtf8('a.example\0.b'))),
    'a name that is no ASCII': seq(encodeDer(0x82, encodeUtf8('ä.example'))),
    'something behind the names': Uint8Array.from([...seq(encodeDer(0x82, encodeUtf8('a'))), 0]),
    'no SEQUENCE': encodeDer(DER.SET, encodeDer(0x82, encodeUtf8('a'))),
  }))
    it(`are refused: ${title}`, () => {
      assert.throws(() => read(value), MalformedError);
    });
});
