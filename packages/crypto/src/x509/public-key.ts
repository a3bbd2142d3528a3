import {
  asBytes,
  DER,
  DerReader,
  encodeDer,
  encodeDerInteger,
  encodeDerOid,
  type Bytes,
} from '@cloister/bytes';

/** The curves that keys may lie on. */
export type NamedCurve = 'P-256' | 'P-384';

/** What a SubjectPublicKeyInfo holds. */
export type PublicKeyInfo =
  | { readonly type: 'ec'; readonly curve: NamedCurve; readonly x: Bytes; readonly y: Bytes }
  | { readonly type: 'rsa'; readonly modulus: Bytes; readonly exponent: Bytes };

const EC_PUBLIC_KEY = '1.2.840.10045.2.1';
const RSA_ENCRYPTION = '1.2.840.113549.1.1.1';
const CURVES: ReadonlyMap<string, NamedCurve> = new Map([
  ['1.2.840.10045.3.1.7', 'P-256'],
  ['1.3.132.0.34', 'P-384'],
]);

/** How long one coordinate on a curve is. */
export function coordinateLength(curve: NamedCurve): number {
  return curve === 'P-256' ? 32 : 48;
}

/**
 * Reads a SubjectPublicKeyInfo (RFC 5280, 4.1.2.7): an uncompressed point on a named curve
 * (RFC 5480) or an RSA key (RFC 3279, 2.3.1). Whether the point is on its curve is WebCrypto's
 * to say when the key is imported.
 */
export function parsePublicKey(spki: Uint8Array, name = 'public key'): PublicKeyInfo {
  const outer = new DerReader(spki, name);
  const body = outer.enter(DER.SEQUENCE);
  outer.end();
  const algorithm = body.enter(DER.SEQUENCE);
  const oid = algorithm.oid();
  if (oid === EC_PUBLIC_KEY) {
    const curve = CURVES.get(algorithm.oid()) ?? algorithm.fail();
    algorithm.end();
    const point = body.octetAlignedBits();
    body.end();
    const size = coordinateLength(curve);
    if (point.length !== 1 + 2 * size || point[0] !== 4) body.fail();
    const x = asBytes(point.subarray(1, 1 + size));
    return { type: 'ec', curve, x, y: asBytes(point.subarray(1 + size)) };
  }
  if (oid !== RSA_ENCRYPTION) algorithm.fail();
  if (algorithm.expect(DER.NULL).value.length !== 0) algorithm.fail();
  algorithm.end();
  const bits = new DerReader(body.octetAlignedBits(), name);
  body.end();
  const key = bits.enter(DER.SEQUENCE);
  bits.end();
  const modulus = readPositive(key);
  const exponent = readPositive(key);
  key.end();
  return { type: 'rsa', modulus, exponent };
}

/** The SubjectPublicKeyInfo of a key: the one DER that `parsePublicKey` reads as this key. */
export function encodePublicKey(key: PublicKeyInfo): Bytes {
  if (key.type === 'rsa') {
    return encodeDer(
      DER.SEQUENCE,
      encodeDer(DER.SEQUENCE, encodeDerOid(RSA_ENCRYPTION), encodeDer(DER.NULL)),
      encodeDer(
        DER.BIT_STRING,
        Uint8Array.of(0),
        encodeDer(DER.SEQUENCE, encodeDerInteger(key.modulus), encodeDerInteger(key.exponent)),
      ),
    );
  }
  const curve = key.curve === 'P-256' ? '1.2.840.10045.3.1.7' : '1.3.132.0.34';
  return encodeDer(
    DER.SEQUENCE,
    encodeDer(DER.SEQUENCE, encodeDerOid(EC_PUBLIC_KEY), encodeDerOid(curve)),
    encodeDer(DER.BIT_STRING, Uint8Array.of(0, 4), key.x, key.y),
  );
}

/** How many bits the modulus of an RSA key has. */
export function modulusBits(modulus: Uint8Array): number {
  return 8 * modulus.length - Math.clz32(modulus[0] ?? 0) + 24;
}

function readPositive(reader: DerReader): Bytes {
  const number = reader.integer();
  if ((number[0] ?? 0) >= 0x80) reader.fail();
  const digits = number[0] === 0 ? number.subarray(1) : number;
  if (digits.length === 0) reader.fail();
  return asBytes(digits);
}
