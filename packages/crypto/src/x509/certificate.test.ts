import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  concatBytes,
  DER,
  decodeHex,
  encodeDer,
  encodeDerInteger,
  encodeDerOid,
  encodePem,
  encodeUtf8,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';
import * as fc from 'fast-check';
import { certify, type Party } from '../../tests/make-pki.ts';
import {
  parseCertificate,
  parseCertificateChain,
  verifyCertificateSignature,
} from './certificate.ts';
import {
  basicConstraintsExtension,
  encodeExtensions,
  keyUsageExtension,
} from './encode-extensions.ts';
import { KEY_USAGES } from './extensions.ts';
import { encodeName } from './name.ts';
import { encodeSignatureAlgorithm } from './signature-algorithm.ts';
import { encodeTime } from './time.ts';

const ZERO = Uint8Array.of(0);
const ONE = encodeDerInteger(Uint8Array.of(1));
const NAME = encodeName({ commonName: 'A', countryName: 'CH' });
const ALGORITHM = encodeSignatureAlgorithm('ecdsa-sha256');
const SIGNATURE = encodeDer(DER.SEQUENCE, ONE, ONE);
const seq = (...parts: Bytes[]) => encodeDer(DER.SEQUENCE, ...parts);
const time = (text: string, tag: number = DER.UTC_TIME) => encodeDer(tag, encodeUtf8(text));

interface Parts {
  version?: Bytes;
  serial?: Bytes;
  inner?: Bytes;
  outer?: Bytes;
  issuer?: Bytes;
  validity?: Bytes;
  subject?: Bytes;
  spki?: Bytes;
  uniqueId?: Bytes;
  extensions?: Bytes;
  tail?: Bytes;
  signature?: Bytes;
  outside?: Bytes;
}

/** A certificate made of parts: each test replaces one. Signatures are not what is tested here. */
function assemble(parts: Parts): Bytes {
  const nothing = new Uint8Array(0);
  const now = encodeTime(new Date('2026-01-01T00:00:00Z'));
  const tbs = seq(
    parts.version ?? encodeDer(0xa0, encodeDerInteger(Uint8Array.of(2))),
    parts.serial ?? ONE,
    parts.inner ?? ALGORITHM,
    parts.issuer ?? NAME,
    parts.validity ?? seq(now, now),
    parts.subject ?? NAME,
    parts.spki ?? seq(seq(encodeDerOid('1.2.3')), encodeDer(DER.BIT_STRING, ZERO)),
    parts.uniqueId ?? nothing,
    parts.extensions ??
      encodeDer(0xa3, encodeExtensions([basicConstraintsExtension({ ca: true })])),
    parts.tail ?? nothing,
  );
  return concatBytes(
    seq(
      tbs,
      parts.outer ?? parts.inner ?? ALGORITHM,
      encodeDer(DER.BIT_STRING, ZERO, parts.signature ?? SIGNATURE),
    ),
    parts.outside ?? nothing,
  );
}

const withExtension = (oid: string, value: Bytes, critical?: Bytes) =>
  assemble({
    extensions: encodeDer(
      0xa3,
      seq(
        seq(
          encodeDerOid(oid),
          ...(critical === undefined ? [] : [critical]),
          encodeDer(DER.OCTET_STRING, value),
        ),
      ),
    ),
  });

const hex = (text: string) => decodeHex(text.replaceAll(' ', ''));
const serialOf = (number: string) =>
  parseCertificate(assemble({ serial: encodeDer(DER.INTEGER, decodeHex(number)) })).serial;
const calm = (bytes: Uint8Array) => {
  try {
    parseCertificate(bytes);
  } catch (error) {
    assert.ok(error instanceof MalformedError, String(error));
  }
};
const refuses = (der: Uint8Array) => assert.throws(() => parseCertificate(der), MalformedError);

describe('parseCertificate', () => {
  it('reads every member', () => {
    const { extensions, ...rest } = parseCertificate(assemble({}));
    assert.equal(rest.serial, '01');
    assert.equal(rest.issuerCommonName, 'A');
    assert.deepEqual(rest.issuer, NAME);
    assert.deepEqual(rest.notAfter, new Date('2026-01-01T00:00:00Z'));
    assert.deepEqual(rest.basicConstraints, { ca: true });
    assert.equal(rest.keyUsage, undefined);
    assert.equal(rest.signature.length, 64);
    assert.deepEqual([...extensions.keys()], ['2.5.29.19']);
  });

  it('does not change when its input does', () => {
    const der = assemble({});
    const certificate = parseCertificate(der);
    der.fill(0);
    assert.equal(certificate.der[0], DER.SEQUENCE);
    assert.deepEqual(certificate.issuer, NAME);
  });

  it('reads serial numbers: zero, with a sign byte, of twenty octets', () => {
    assert.equal(serialOf('00'), '00');
    assert.equal(serialOf('0080'), '80');
    assert.equal(serialOf('0a0b'), '0a0b');
    assert.equal(serialOf(`00${'ff'.repeat(20)}`), 'ff'.repeat(20));
  });

  it('reads all key usages that it writes', () => {
    for (const [i, usage] of KEY_USAGES.entries()) {
      for (const other of KEY_USAGES.slice(i)) {
        const { oid, value } = keyUsageExtension(usage, other);
        const { keyUsage } = parseCertificate(withExtension(oid, value));
        assert.deepEqual(keyUsage, new Set([usage, other]));
      }
    }
  });

  const TRUE = hex('0101ff');
  const refused: [string, () => Bytes][] = [
    ['bytes behind it', () => assemble({ outside: ZERO })],
    ['bytes behind the extensions', () => assemble({ tail: encodeDer(DER.NULL) })],
    ['version 1', () => assemble({ version: new Uint8Array(0) })],
    ['version 2', () => assemble({ version: encodeDer(0xa0, ONE) })],
    ['a negative serial', () => assemble({ serial: hex('020180') })],
    ['an empty serial', () => assemble({ serial: hex('0200') })],
    ['a serial with a needless zero', () => assemble({ serial: hex('02020001') })],
    ['a serial of 21 octets', () => assemble({ serial: encodeDer(2, new Uint8Array(21).fill(1)) })],
    [
      'an inner algorithm that differs from the outer',
      () => assemble({ outer: encodeSignatureAlgorithm('ecdsa-sha384') }),
    ],
    ['an unknown algorithm', () => assemble({ inner: seq(encodeDerOid('1.2.840.10045.4.1')) })],
    [
      'ECDSA with parameters',
      () => assemble({ inner: seq(encodeDerOid('1.2.840.10045.4.3.2'), encodeDer(DER.NULL)) }),
    ],
    ['RSA without NULL', () => assemble({ inner: seq(encodeDerOid('1.2.840.113549.1.1.11')) })],
    ['an issuer that is no SEQUENCE', () => assemble({ issuer: encodeDer(DER.SET) })],
    ['a name with an empty set', () => assemble({ subject: seq(encodeDer(DER.SET)) })],
    [
      'a common name that is no UTF-8',
      () =>
        assemble({
          subject: seq(encodeDer(DER.SET, seq(encodeDerOid('2.5.4.3'), hex('0c01ff')))),
        }),
    ],
    [
      'a time without seconds',
      () => assemble({ validity: seq(time('2601010000Z'), time('2601010000Z')) }),
    ],
    [
      'a time with an offset',
      () => assemble({ validity: seq(time('260101000000+0000'), time('260101000000Z')) }),
    ],
    [
      'a time with letters',
      () => assemble({ validity: seq(time('26010100000AZ'), time('260101000000Z')) }),
    ],
    [
      'the 30th of February',
      () => assemble({ validity: seq(time('260230000000Z'), time('260101000000Z')) }),
    ],
    ['month 13', () => assemble({ validity: seq(time('261301000000Z'), time('260101000000Z')) })],
    ['month 0', () => assemble({ validity: seq(time('260001000000Z'), time('260101000000Z')) })],
    ['hour 24', () => assemble({ validity: seq(time('260101240000Z'), time('260101000000Z')) })],
    ['second 60', () => assemble({ validity: seq(time('260101000060Z'), time('260101000000Z')) })],
    [
      'a time with fractions',
      () => assemble({ validity: seq(time('20260101000000.5Z', 0x18), time('260101000000Z')) }),
    ],
    ['one date', () => assemble({ validity: seq(time('260101000000Z')) })],
    [
      'three dates',
      () => assemble({ validity: seq(...Array.from({ length: 3 }, () => time('260101000000Z'))) }),
    ],
    ['a unique identifier', () => assemble({ uniqueId: encodeDer(0x81, ZERO, ZERO) })],
    ['no extensions', () => assemble({ extensions: new Uint8Array(0) })],
    ['an empty list of extensions', () => assemble({ extensions: encodeDer(0xa3, seq()) })],
    [
      'bytes behind the list of extensions',
      () =>
        assemble({
          extensions: encodeDer(0xa3, seq(seq(encodeDerOid('1.2.3'), hex('0400'))), hex('0500')),
        }),
    ],
    [
      'an extension twice',
      () =>
        assemble({
          extensions: encodeDer(
            0xa3,
            encodeExtensions([
              { oid: '1.2.3', value: ZERO },
              { oid: '1.2.3', value: ZERO },
            ]),
          ),
        }),
    ],
    ['critical spelled as FALSE', () => withExtension('1.2.3', ZERO, hex('010100'))],
    ['critical as 01', () => withExtension('1.2.3', ZERO, hex('010101'))],
    [
      'a signature with unused bits',
      () =>
        assemble({}).map((byte, i, all) => (i === all.length - SIGNATURE.length - 1 ? 1 : byte)),
    ],
    [
      'an ECDSA signature with a negative number',
      () => assemble({ signature: seq(ONE, hex('020180')) }),
    ],
    ['an ECDSA signature with one number', () => assemble({ signature: seq(ONE) })],
    ['an ECDSA signature with three numbers', () => assemble({ signature: seq(ONE, ONE, ONE) })],
    [
      'an ECDSA signature with a number too long',
      () => assemble({ signature: seq(ONE, encodeDerInteger(new Uint8Array(33).fill(1))) }),
    ],
    [
      'an ECDSA signature with bytes behind it',
      () => assemble({ signature: concatBytes(SIGNATURE, ZERO) }),
    ],
    ['basicConstraints with FALSE spelled', () => withExtension('2.5.29.19', hex('3003010100'))],
    [
      'basicConstraints with a path length but no CA',
      () => withExtension('2.5.29.19', hex('3003020100')),
    ],
    [
      'basicConstraints with a negative path length',
      () => withExtension('2.5.29.19', hex('30060101ff0201ff')),
    ],
    ['basicConstraints with more', () => withExtension('2.5.29.19', hex('30080101ff0201000500'))],
    ['basicConstraints with bytes behind', () => withExtension('2.5.29.19', hex('30000500'))],
    ['empty basicConstraints value', () => withExtension('2.5.29.19', new Uint8Array(0))],
    ['keyUsage without bits', () => withExtension('2.5.29.15', hex('030100'))],
    ['keyUsage of zeros', () => withExtension('2.5.29.15', hex('03020700'))],
    ['keyUsage with set unused bits', () => withExtension('2.5.29.15', hex('030207ff'))],
    ['keyUsage with 8 unused bits', () => withExtension('2.5.29.15', hex('03020880'))],
    ['keyUsage of three bytes', () => withExtension('2.5.29.15', hex('030400800001'))],
    ['keyUsage that is an OCTET STRING', () => withExtension('2.5.29.15', hex('04020780'))],
    ['subjectKeyIdentifier with bytes behind', () => withExtension('2.5.29.14', hex('0401000500'))],
    [
      'authorityKeyIdentifier with a serial but no issuer',
      () => withExtension('2.5.29.35', hex('3003820101')),
    ],
    ['authorityKeyIdentifier with more', () => withExtension('2.5.29.35', hex('3002 0500'))],
    ['more than 64 KiB', () => withExtension('1.2.3', new Uint8Array(65_536), TRUE)],
    ['PEM', () => encodeUtf8(encodePem('CERTIFICATE', assemble({})))],
    [
      'a CRL in its place',
      () => seq(seq(ONE), ALGORITHM, encodeDer(DER.BIT_STRING, ZERO, SIGNATURE)),
    ],
  ];
  for (const [what, make] of refused) it(`refuses ${what}`, () => refuses(make()));

  it('gives no common name where there are two, or one in an odd encoding', () => {
    const attribute = (value: Bytes) => encodeDer(DER.SET, seq(encodeDerOid('2.5.4.3'), value));
    const two = seq(attribute(hex('0c0141')), attribute(hex('0c0142')));
    const odd = seq(attribute(hex('1e020041')));
    const high = seq(attribute(hex('1301e9')));
    const ia5 = seq(attribute(hex('160141')));
    for (const subject of [two, odd, high, seq()]) {
      assert.equal(parseCertificate(assemble({ subject })).subjectCommonName, undefined);
    }
    assert.equal(parseCertificate(assemble({ subject: ia5 })).subjectCommonName, 'A');
  });

  it('reads two-digit years from 1950 to 2049, and others in GeneralizedTime', () => {
    for (const text of [
      '1950-01-01T00:00:00Z',
      '2049-12-31T23:59:59Z',
      '2050-01-01T00:00:00Z',
      '1949-12-31T23:59:59Z',
      '9999-12-31T23:59:59Z',
      '2024-02-29T12:00:00Z',
    ]) {
      const date = new Date(text);
      const { notBefore } = parseCertificate(
        assemble({ validity: seq(encodeTime(date), encodeTime(date)) }),
      );
      assert.deepEqual(notBefore, date);
    }
  });
});

describe('parseCertificate under damage', () => {
  let party: Party;
  before(async () => {
    party = await certify('Root', undefined, { ca: true, pathLength: 1 });
  });

  it('refuses every shorter prefix', () => {
    const { der } = party.certificate;
    for (let length = 0; length < der.length; length++) refuses(der.subarray(0, length));
  });

  it('no flipped bit of a certificate is both read and verified', async () => {
    const { der } = party.certificate;
    for (let bit = 0; bit < 8 * der.length; bit++) {
      const flipped = der.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
      let certificate;
      try {
        certificate = parseCertificate(flipped);
      } catch (error) {
        assert.ok(error instanceof MalformedError, `bit ${bit}: ${String(error)}`);
        continue;
      }
      const verified = await verifyCertificateSignature(certificate, party.spki);
      assert.equal(verified, false, `bit ${bit}`);
    }
  });

  it('throws nothing but MalformedError for random bytes, spliced or not', () => {
    const { der } = party.certificate;
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), calm), { numRuns: 500 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(der.length), (bytes, at) => {
        const spliced = der.slice();
        spliced.set(bytes.subarray(0, der.length - at), at);
        calm(spliced);
      }),
      { numRuns: 1000 },
    );
  });

  it('refuses deep nesting without overflowing the stack', () => {
    let nested: Bytes = encodeDer(DER.NULL);
    for (let i = 0; i < 2000; i++) nested = seq(nested);
    refuses(nested);
    refuses(assemble({ subject: nested }));
  });
});

describe('parseCertificateChain', () => {
  const pem = encodePem('CERTIFICATE', assemble({}));

  it('reads certificates in their order, with NULs behind them', () => {
    assert.equal(parseCertificateChain(`${pem}${pem}\0\0`).length, 2);
  });

  it('refuses no certificate, other blocks, text between, an unfinished block', () => {
    for (const text of [
      '',
      '\0',
      encodePem('X509 CRL', ZERO),
      `${pem}x${pem}`,
      pem.slice(0, -10),
    ]) {
      assert.throws(() => parseCertificateChain(text), MalformedError, JSON.stringify(text));
    }
  });

  it('names the certificate that is malformed', () => {
    const text = `${pem}${encodePem('CERTIFICATE', ZERO)}`;
    assert.throws(() => parseCertificateChain(text, 'PCK chain'), /PCK chain, certificate 1/);
  });
});
