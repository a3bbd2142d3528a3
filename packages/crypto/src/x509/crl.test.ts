import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  concatBytes,
  DER,
  decodeHex,
  encodeDer,
  encodeDerInteger,
  encodeDerOid,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';
import * as fc from 'fast-check';
import { certify, type Party } from '../../tests/make-pki.ts';
import { createCrl, type CrlInput } from './create-crl.ts';
import { parseCrl, verifyCrlSignature } from './crl.ts';
import { keyIdentifier, type ExtensionInput } from './encode-extensions.ts';
import { encodeName } from './name.ts';
import { encodeSignatureAlgorithm } from './signature-algorithm.ts';
import { encodeTime } from './time.ts';

const FROM = new Date('2026-05-01T00:00:00Z');
const TO = new Date('2026-07-01T00:00:00Z');

let issuer: Party;
before(async () => {
  issuer = await certify('CA', undefined, { ca: true });
});

const makeCrl = async (more: Partial<CrlInput> = {}) =>
  createCrl({
    issuer: issuer.name,
    thisUpdate: FROM,
    nextUpdate: TO,
    revoked: [
      { serial: '00ff', revokedAt: FROM, reason: 1 },
      { serial: decodeHex('0102'), revokedAt: FROM },
    ],
    crlNumber: '0100',
    authorityKeyIdentifier: await keyIdentifier(issuer.spki),
    signer: issuer.keys.privateKey,
    ...more,
  });

const seq = (...parts: Bytes[]) => encodeDer(DER.SEQUENCE, ...parts);

const octets = (bytes: string) => encodeDer(DER.OCTET_STRING, decodeHex(bytes));

describe('parseCrl', () => {
  it('reads every member of what createCrl makes', async () => {
    const crl = parseCrl(await makeCrl());
    assert.deepEqual(crl.issuer, issuer.name);
    assert.equal(crl.issuerCommonName, 'CA');
    assert.deepEqual([crl.thisUpdate, crl.nextUpdate], [FROM, TO]);
    assert.deepEqual(crl.revoked, new Set(['ff', '0102']));
    assert.equal(crl.crlNumber, '0100');
    assert.deepEqual(crl.authorityKeyIdentifier, await keyIdentifier(issuer.spki));
    assert.equal(await verifyCrlSignature(crl, issuer.spki), true);
  });

  it('reads a list of nothing', async () => {
    assert.equal(parseCrl(await makeCrl({ revoked: [] })).revoked.size, 0);
  });

  it('verifies with the key of its issuer only', async () => {
    const other = await certify('CA', undefined, { ca: true });
    assert.equal(await verifyCrlSignature(parseCrl(await makeCrl()), other.spki), false);
  });

  const value = encodeDer(DER.NULL);
  const extensions: [string, ExtensionInput][] = [
    ['an unknown critical extension', { oid: '1.2.3.4', critical: true, value }],
    ['issuingDistributionPoint', { oid: '2.5.29.28', critical: true, value }],
    ['issuingDistributionPoint that is not critical', { oid: '2.5.29.28', value }],
    ['deltaCRLIndicator', { oid: '2.5.29.27', critical: true, value }],
    ['cRLNumber twice', { oid: '2.5.29.20', value }],
  ];
  for (const [what, extension] of extensions) {
    it(`refuses ${what}`, async () => {
      const der = await makeCrl({ extensions: [extension] });
      assert.throws(() => parseCrl(der), MalformedError);
    });
  }

  it('accepts unknown extensions that are not critical', async () => {
    assert.equal(
      parseCrl(await makeCrl({ extensions: [{ oid: '1.2.3.4', value }] })).revoked.size,
      2,
    );
  });

  it('refuses every shorter prefix', async () => {
    const der = await makeCrl();
    for (let length = 0; length < der.length; length++) {
      assert.throws(() => parseCrl(der.subarray(0, length)), MalformedError);
    }
  });

  it('no flipped bit of a list is both read and verified', async () => {
    const der = await makeCrl();
    for (let bit = 0; bit < 8 * der.length; bit++) {
      const flipped = der.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
      let crl;
      try {
        crl = parseCrl(flipped);
      } catch (error) {
        assert.ok(error instanceof MalformedError, `bit ${bit}: ${String(error)}`);
        continue;
      }
      assert.equal(await verifyCrlSignature(crl, issuer.spki), false, `bit ${bit}`);
    }
  });

  it('throws nothing but MalformedError for random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.throws(() => parseCrl(bytes), MalformedError);
      }),
    );
  });
});

describe('parseCrl of parts', () => {
  const ONE = encodeDerInteger(Uint8Array.of(1));
  const algorithm = encodeSignatureAlgorithm('ecdsa-sha256');
  const now = encodeTime(FROM);
  const nothing = new Uint8Array(0);
  const assemble = (parts: {
    version?: Bytes;
    inner?: Bytes;
    next?: Bytes;
    entries?: Bytes;
    extensions?: Bytes;
    outside?: Bytes;
  }) =>
    concatBytes(
      seq(
        seq(
          parts.version ?? ONE,
          parts.inner ?? algorithm,
          encodeName({ commonName: 'CA' }),
          now,
          parts.next ?? now,
          parts.entries ?? nothing,
          parts.extensions ?? nothing,
        ),
        algorithm,
        encodeDer(DER.BIT_STRING, Uint8Array.of(0), seq(ONE, ONE)),
      ),
      parts.outside ?? nothing,
    );
  const entryWith = (...extension: Bytes[]) =>
    assemble({ entries: seq(seq(ONE, now, seq(seq(...extension)))) });
  const critical = decodeHex('0101ff');

  it('reads a list without nextUpdate and without extensions', () => {
    const crl = parseCrl(assemble({ next: nothing }));
    assert.equal(crl.nextUpdate, undefined);
    assert.equal(crl.crlNumber, undefined);
    assert.equal(crl.authorityKeyIdentifier, undefined);
  });

  it('reads an entry with a critical reason', () => {
    const der = entryWith(encodeDerOid('2.5.29.21'), critical, octets('0a0101'));
    assert.deepEqual(parseCrl(der).revoked, new Set(['01']));
  });

  const refused: [string, Bytes][] = [
    ['bytes behind it', assemble({ outside: Uint8Array.of(0) })],
    ['version 1', assemble({ version: nothing })],
    ['version 3', assemble({ version: encodeDerInteger(Uint8Array.of(2)) })],
    ['another inner algorithm', assemble({ inner: encodeSignatureAlgorithm('ecdsa-sha384') })],
    ['an empty list of entries', assemble({ entries: seq() })],
    ['an entry without a date', assemble({ entries: seq(seq(ONE)) })],
    ['an entry with a negative serial', assemble({ entries: seq(seq(decodeHex('020180'), now)) })],
    [
      'an entry with an unknown critical extension',
      entryWith(encodeDerOid('1.2.3'), critical, octets('0500')),
    ],
    [
      'an entry of another certificate issuer',
      entryWith(encodeDerOid('2.5.29.29'), critical, octets('3000')),
    ],
    ['the same, not marked critical', entryWith(encodeDerOid('2.5.29.29'), octets('3000'))],
    [
      'bytes behind the extensions',
      assemble({
        extensions: encodeDer(
          0xa0,
          seq(seq(encodeDerOid('1.2.3'), octets('00'))),
          encodeDer(DER.NULL),
        ),
      }),
    ],
    [
      'a negative cRLNumber',
      assemble({
        extensions: encodeDer(0xa0, seq(seq(encodeDerOid('2.5.29.20'), octets('020180')))),
      }),
    ],
    [
      'more than 1 MiB',
      assemble({
        extensions: encodeDer(
          0xa0,
          seq(seq(encodeDerOid('1.2.3'), encodeDer(DER.OCTET_STRING, new Uint8Array(1_048_576)))),
        ),
      }),
    ],
  ];
  for (const [what, der] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseCrl(der), MalformedError);
    });
  }
});
