import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  concatBytes,
  DER,
  decodePem,
  encodeDer,
  encodeDerInteger,
  encodeDerOid,
  encodeHex,
  encodeUtf8,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';
import * as peculiar from '@peculiar/x509';
import * as fc from 'fast-check';
import { parseCertificationRequest, verifyCertificationRequest } from './certification-request.ts';
import { createCertificationRequest } from './create-certification-request.ts';
import { encodeName } from './name.ts';
import { encodePublicKey } from './public-key.ts';
import { encodeSignatureAlgorithm } from './signature-algorithm.ts';

const NAME = encodeName({ commonName: 'records' });
/** Made by `openssl req -new -newkey ec`, OpenSSL 3, with a name and an extension asked for. */
const OPENSSL = `-----BEGIN CERTIFICATE REQUEST-----
MIIBFzCBvgIBADAvMQswCQYDVQQGEwJDSDEOMAwGA1UECgwFTGFtbmExEDAOBgNV
BAMMB3JlY29yZHMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATr5o+hNmuDp/Q2
LPwF3fFhY5LJFBoohhEfW5TObKRXcYBwFE9NHh81G52+xLJbJFj/W6cv4buULOBo
24SCdnVUoC0wKwYJKoZIhvcNAQkOMR4wHDAaBgNVHREEEzARgg9yZWNvcmRzLmV4
YW1wbGUwCgYIKoZIzj0EAwIDSAAwRQIhAJ1ZaAQTyZaANZkQT1Cz4qxGr87tJy0z
SBXKofmQGEd5AiBWVEPzdsB+gUJSbf5OQhiB/ESjt7gxQUMEcPfVlaQbQw==
-----END CERTIFICATE REQUEST-----
`;
const ZERO = Uint8Array.of(0);
const seq = (...parts: Bytes[]) => encodeDer(DER.SEQUENCE, ...parts);
const attribute = (oid: string, ...values: Bytes[]) =>
  seq(encodeDerOid(oid), encodeDer(DER.SET, ...values));
const text = (value: string) => encodeDer(DER.UTF8_STRING, encodeUtf8(value));

async function made(algorithm: EcKeyGenParams | RsaHashedKeyGenParams) {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const publicKey = new Uint8Array(await crypto.subtle.exportKey('spki', keys.publicKey));
  const signer = keys.privateKey;
  return { publicKey, der: await createCertificationRequest({ subject: NAME, publicKey, signer }) };
}

const P256 = { name: 'ECDSA', namedCurve: 'P-256' };
const modulus = { modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };
let publicKey: Bytes;
let der: Bytes;

interface Parts {
  readonly version?: Bytes;
  readonly subject?: Bytes;
  readonly spki?: Bytes;
  readonly attributes?: Bytes;
  readonly tail?: Bytes;
  readonly algorithm?: Bytes;
  readonly signature?: Bytes;
  readonly more?: Bytes;
  readonly outside?: Bytes;
}

/** A request made of parts: each test replaces one. Its signature is well-formed, and wrong. */
function assemble(parts: Parts): Bytes {
  const nothing = new Uint8Array(0);
  const one = encodeDerInteger(Uint8Array.of(1));
  return concatBytes(
    seq(
      seq(
        parts.version ?? encodeDerInteger(ZERO),
        parts.subject ?? NAME,
        parts.spki ?? publicKey,
        parts.attributes ?? encodeDer(0xa0),
        parts.tail ?? nothing,
      ),
      parts.algorithm ?? encodeSignatureAlgorithm('ecdsa-sha256'),
      encodeDer(DER.BIT_STRING, ZERO, parts.signature ?? seq(one, one)),
      parts.more ?? nothing,
    ),
    parts.outside ?? nothing,
  );
}

before(async () => {
  ({ publicKey, der } = await made(P256));
});

describe('createCertificationRequest', () => {
  for (const algorithm of [
    P256,
    { name: 'ECDSA', namedCurve: 'P-384' },
    { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', ...modulus },
    { name: 'RSA-PSS', hash: 'SHA-384', ...modulus },
  ]) {
    const title = Object.values(algorithm).slice(0, 2).join(' ');
    it(`makes what @peculiar/x509 and we read and verify: ${title}`, async () => {
      const one = await made(algorithm);
      const other = new peculiar.Pkcs10CertificateRequest(one.der);
      assert.equal(other.subject, 'CN=records');
      assert.equal(await other.verify(), true);
      const request = parseCertificationRequest(one.der);
      assert.equal(request.subjectCommonName, 'records');
      assert.deepEqual(request.spki, one.publicKey);
      assert.deepEqual(request.attributes, []);
      assert.equal(await verifyCertificationRequest(request), true);
    });
  }
});

describe('parseCertificationRequest', () => {
  it('reads requests of @peculiar/x509, with attributes and extensions', async () => {
    const keys = await crypto.subtle.generateKey(P256, true, ['sign', 'verify']);
    const other = await peculiar.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=other, O=Somebody',
      keys,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      attributes: [new peculiar.ChallengePasswordAttribute('word')],
      extensions: [new peculiar.SubjectAlternativeNameExtension([{ type: 'dns', value: 'a.b' }])],
    });
    const request = parseCertificationRequest(new Uint8Array(other.rawData));
    assert.equal(request.subjectCommonName, 'other');
    assert.deepEqual(request.attributes.toSorted(), [
      '1.2.840.113549.1.9.14',
      '1.2.840.113549.1.9.7',
    ]);
    assert.equal(await verifyCertificationRequest(request), true);
  });

  it('reads a request of OpenSSL', async () => {
    const [block = assert.fail()] = decodePem(OPENSSL, 'CERTIFICATE REQUEST');
    const request = parseCertificationRequest(block);
    assert.equal(request.subjectCommonName, 'records');
    assert.deepEqual(request.attributes, ['1.2.840.113549.1.9.14']);
    assert.equal(await verifyCertificationRequest(request), true);
  });

  it('is what its parts say', () => {
    const request = parseCertificationRequest(assemble({}));
    assert.equal(encodeHex(request.spki), encodeHex(publicKey));
    assert.equal(request.signature.length, 64);
  });

  it('proves nothing where the signature is of another key, or of another request', async () => {
    const foreign = parseCertificationRequest((await made(P256)).der);
    const ours = parseCertificationRequest(der);
    assert.equal(
      await verifyCertificationRequest({ ...ours, signature: foreign.signature }),
      false,
    );
    assert.equal(await verifyCertificationRequest({ ...ours, info: foreign.info }), false);
    assert.equal(await verifyCertificationRequest({ ...ours, spki: foreign.spki }), false);
    const short = await made({ ...modulus, modulusLength: 1024, name: 'RSA-PSS', hash: 'SHA-256' });
    assert.equal(await verifyCertificationRequest(parseCertificationRequest(short.der)), false);
  });

  const bitString = encodeDer(DER.BIT_STRING, ZERO, Uint8Array.of(4));
  const refused: Readonly<Record<string, () => Parts>> = {
    'version 1': () => ({ version: encodeDerInteger(Uint8Array.of(1)) }),
    'no version': () => ({ version: new Uint8Array(0) }),
    'a subject that is no Name': () => ({ subject: seq(text('records')) }),
    'a key of an unknown kind': () => ({ spki: seq(seq(encodeDerOid('1.2.3')), bitString) }),
    'a compressed point': () => ({
      spki: seq(
        seq(encodeDerOid('1.2.840.10045.2.1'), encodeDerOid('1.2.840.10045.3.1.7')),
        encodeDer(DER.BIT_STRING, ZERO, Uint8Array.of(2), new Uint8Array(32)),
      ),
    }),
    'no attributes at all': () => ({ attributes: new Uint8Array(0) }),
    'attributes of another tag': () => ({ attributes: encodeDer(0xa1) }),
    'an attribute without a value': () => ({ attributes: encodeDer(0xa0, attribute('1.2.3')) }),
    'the same attribute twice': () => ({
      attributes: encodeDer(0xa0, attribute('1.2.3', text('a')), attribute('1.2.3', text('b'))),
    }),
    'an attribute with something behind its values': () => ({
      attributes: encodeDer(0xa0, seq(encodeDerOid('1.2.3'), encodeDer(DER.SET, text('a')), NAME)),
    }),
    'more attributes than anybody needs': () => ({
      attributes: encodeDer(
        0xa0,
        ...Array.from({ length: 17 }, (_, i) => attribute(`1.2.${i}`, text('a'))),
      ),
    }),
    'something behind the attributes': () => ({ tail: NAME }),
    'an algorithm that signs nothing here': () => ({ algorithm: seq(encodeDerOid('1.2.3')) }),
    'SHA-1': () => ({ algorithm: seq(encodeDerOid('1.2.840.10045.4.1')) }),
    'a signature that is no pair of numbers': () => ({ signature: text('signature') }),
    'something behind the signature': () => ({ more: NAME }),
    'something behind the request': () => ({ outside: ZERO }),
    'a request that is too large': () => ({
      attributes: encodeDer(0xa0, attribute('1.2.3', text('a'.repeat(16_384)))),
    }),
  };
  for (const [title, parts] of Object.entries(refused)) {
    it(`refuses ${title}`, () => {
      assert.throws(() => parseCertificationRequest(assemble(parts())), MalformedError);
    });
  }

  it('refuses nesting without end', () => {
    let deep: Bytes = text('a');
    for (let i = 0; i < 400; i++) deep = seq(deep);
    const values = encodeDer(0xa0, attribute('1.2.3', deep));
    // A value is not entered: it is well-formed, and nothing is done with it.
    assert.deepEqual(parseCertificationRequest(assemble({ attributes: values })).attributes, [
      '1.2.3',
    ]);
    assert.throws(() => parseCertificationRequest(deep), MalformedError);
  });

  it('refuses every truncation', () => {
    for (let length = 0; length < der.length; length++)
      assert.throws(() => parseCertificationRequest(der.subarray(0, length)), MalformedError);
  });

  it('takes no flipped bit: it is refused, or the signature fails', async () => {
    for (let bit = 0; bit < der.length * 8; bit++) {
      const changed = der.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      let request: ReturnType<typeof parseCertificationRequest>;
      try {
        request = parseCertificationRequest(changed);
      } catch (error) {
        assert.ok(error instanceof MalformedError);
        continue;
      }
      assert.equal(await verifyCertificationRequest(request), false, `bit ${bit}`);
    }
  });

  it('throws nothing but MalformedError at random bytes', () => {
    const junk = fc.uint8Array({ maxLength: 200 });
    const spliced = fc.tuple(fc.nat(300), junk);
    fc.assert(fc.property(junk, attempt), { numRuns: 2000 });
    fc.assert(
      fc.property(spliced, ([at, bytes]) => {
        const changed = der.slice();
        changed.set(bytes.subarray(0, Math.max(0, changed.length - at)), at % changed.length);
        attempt(changed);
      }),
      { numRuns: 2000 },
    );
  });

  it('reads keys that encodePublicKey writes', async () => {
    const rsa = {
      type: 'rsa',
      modulus: new Uint8Array(256).fill(0xc1),
      exponent: modulus.publicExponent,
    } as const;
    assert.deepEqual(
      parseCertificationRequest(assemble({ spki: encodePublicKey(rsa) })).spki,
      encodePublicKey(rsa),
    );
  });
});

function attempt(bytes: Uint8Array): void {
  try {
    parseCertificationRequest(bytes);
  } catch (error) {
    assert.ok(error instanceof MalformedError);
  }
}
