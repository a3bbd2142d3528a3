import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  DER,
  DerReader,
  encodeDer,
  encodeDerOid,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';
import {
  encodeSignatureAlgorithm,
  parseSignatureAlgorithm,
  type SignatureAlgorithm,
} from './signature-algorithm.ts';

const NULL = encodeDer(DER.NULL);
const seq = (...parts: Bytes[]) => encodeDer(DER.SEQUENCE, ...parts);
const small = (value: number) => encodeDer(DER.INTEGER, Uint8Array.of(value));
const SHA256 = encodeDerOid('2.16.840.1.101.3.4.2.1');
const SHA384 = encodeDerOid('2.16.840.1.101.3.4.2.2');
const SHA1 = encodeDerOid('1.3.14.3.2.26');
const MGF1 = encodeDerOid('1.2.840.113549.1.1.8');

const parse = (identifier: Bytes) =>
  parseSignatureAlgorithm(new DerReader(identifier, 'test').enter(DER.SEQUENCE));

interface Pss {
  hash?: Bytes;
  mask?: Bytes;
  salt?: Bytes;
  tail?: Bytes;
}
const pss = ({ hash, mask, salt, tail }: Pss) =>
  seq(
    encodeDerOid('1.2.840.113549.1.1.10'),
    seq(
      hash ?? encodeDer(0xa0, seq(SHA384, NULL)),
      mask ?? encodeDer(0xa1, seq(MGF1, seq(SHA384, NULL))),
      salt ?? encodeDer(0xa2, small(48)),
      tail ?? new Uint8Array(0),
    ),
  );

describe('parseSignatureAlgorithm', () => {
  it('reads what encodeSignatureAlgorithm writes', () => {
    const all: SignatureAlgorithm[] = [
      'ecdsa-sha256',
      'ecdsa-sha384',
      'rsa-pkcs1-sha256',
      'rsa-pkcs1-sha384',
      'rsa-pss-sha256',
      'rsa-pss-sha384',
    ];
    for (const algorithm of all)
      assert.equal(parse(encodeSignatureAlgorithm(algorithm)), algorithm);
  });

  it('reads PSS parameters with absent hash parameters, and with the default trailer spelled', () => {
    assert.equal(parse(pss({ hash: encodeDer(0xa0, seq(SHA384)) })), 'rsa-pss-sha384');
    assert.equal(parse(pss({ tail: encodeDer(0xa3, small(1)) })), 'rsa-pss-sha384');
  });

  const refused: [string, Bytes][] = [
    ['no hash (SHA-1 by default)', pss({ hash: new Uint8Array(0) })],
    ['SHA-1', pss({ hash: encodeDer(0xa0, seq(SHA1, NULL)) })],
    ['another hash than the mask', pss({ hash: encodeDer(0xa0, seq(SHA256, NULL)) })],
    ['a mask with another hash', pss({ mask: encodeDer(0xa1, seq(MGF1, seq(SHA256, NULL))) })],
    ['another mask', pss({ mask: encodeDer(0xa1, seq(SHA384, seq(SHA384, NULL))) })],
    ['no mask', pss({ mask: new Uint8Array(0) })],
    ['no salt length (20 by default)', pss({ salt: new Uint8Array(0) })],
    ['another salt length', pss({ salt: encodeDer(0xa2, small(32)) })],
    ['a salt length of zero', pss({ salt: encodeDer(0xa2, small(0)) })],
    ['another trailer', pss({ tail: encodeDer(0xa3, small(2)) })],
    ['more parameters', pss({ tail: NULL })],
    ['two elements in one tag', pss({ salt: encodeDer(0xa2, small(48), small(48)) })],
    ['hash parameters that are not NULL', pss({ hash: encodeDer(0xa0, seq(SHA384, small(0))) })],
    ['a NULL with contents', pss({ hash: encodeDer(0xa0, seq(SHA384, Uint8Array.of(5, 1, 0))) })],
    ['PSS without parameters', seq(encodeDerOid('1.2.840.113549.1.1.10'))],
    ['SHA-1 with RSA', seq(encodeDerOid('1.2.840.113549.1.1.5'), NULL)],
    ['MD5 with RSA', seq(encodeDerOid('1.2.840.113549.1.1.4'), NULL)],
    ['Ed25519', seq(encodeDerOid('1.3.101.112'))],
  ];
  for (const [what, identifier] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parse(identifier), MalformedError);
    });
  }
});
