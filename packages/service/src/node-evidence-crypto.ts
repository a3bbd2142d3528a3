import { constants, createPublicKey, hash, verify, type KeyObject } from 'node:crypto';
import type { EvidenceCrypto, P256Key, SnpCrypto, SnpKey } from '@cloister/attestation';

/** SubjectPublicKeyInfos (RFC 5480) that end with an uncompressed point: it is written into them. */
const P256_SPKI = spkiOf('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 64);
const P384_SPKI = spkiOf('3076301006072a8648ce3d020106052b8104002203620004', 96);

/**
 * The verifier's primitives by `node:crypto`, for the options `crypto` of the verifiers. They are
 * synchronous: one verification costs less here than the change of threads of a WebCrypto call.
 *
 * EC keys go in as PEM, and signatures as DER with a bare key, for speed: whether an object with options
 * is a key, Node 24 finds out by throwing and catching errors, two for each `verify` and four for
 * each `createPublicKey`, and their stack traces cost as much as an import.
 */
export const NODE_EVIDENCE_CRYPTO: EvidenceCrypto & SnpCrypto = {
  importP256: (point) => ecdsaKey(P256_SPKI, point, 'sha256', 32),
  importP384: (point) => ecdsaKey(P384_SPKI, point, 'sha384', 48),
  importRsaPss(spki) {
    const der = Buffer.from(spki.buffer, spki.byteOffset, spki.length);
    const key = importKey({ key: der, format: 'der', type: 'spki' });
    if (key?.asymmetricKeyType !== 'rsa') return undefined;
    const options = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 };
    return { verify: (signature, data) => verify('sha384', data, options, signature) };
  },
  sha256Hex: (data) => hash('sha256', data, 'hex'),
  equal: (a, b) => Buffer.compare(a, b) === 0,
};

function ecdsaKey(
  spki: Buffer,
  point: Uint8Array,
  digest: 'sha256' | 'sha384',
  size: number,
): (P256Key & SnpKey) | undefined {
  if (point.length !== 2 * size) return undefined;
  spki.set(point, spki.length - point.length);
  const key = importKey(
    `-----BEGIN PUBLIC KEY-----\n${spki.toString('base64')}\n-----END PUBLIC KEY-----\n`,
  );
  if (key === undefined) return undefined;
  return {
    verify: (signature, data) =>
      signature.length === 2 * size && verify(digest, data, key, encodeSignature(signature, size)),
  };
}

function importKey(input: Parameters<typeof createPublicKey>[0]): KeyObject | undefined {
  try {
    return createPublicKey(input);
  } catch {
    // Callers have read the SPKI before, so it is the key itself that is none: a point off the curve.
    return undefined;
  }
}

/** Where the signature of one call is written: nothing else runs before it was verified. */
const scratch = Buffer.alloc(2 + 2 * (3 + 48));

/** r ‖ s as DER (RFC 3279, 2.2.3). */
function encodeSignature(raw: Uint8Array, size: number): Buffer {
  const middle = writeInteger(raw, 0, size, 2);
  const end = writeInteger(raw, size, 2 * size, middle);
  scratch[0] = 0x30;
  // Below 0x80: two P-384 numbers need 102 bytes at most.
  scratch[1] = end - 2;
  return scratch.subarray(0, end);
}

/** Writes raw[from..to] as a non-negative INTEGER at this place; where the next one begins. */
function writeInteger(raw: Uint8Array, from: number, to: number, at: number): number {
  let start = from;
  while (start < to - 1 && raw[start] === 0) start += 1;
  const sign = (raw[start] ?? 0) >= 0x80 ? 1 : 0;
  const length = sign + to - start;
  scratch[at] = 0x02;
  scratch[at + 1] = length;
  scratch[at + 2] = 0;
  for (let i = start; i < to; i++) scratch[at + 2 + sign + i - start] = raw[i] ?? 0;
  return at + 2 + length;
}

function spkiOf(prefix: string, pointLength: number): Buffer {
  return Buffer.concat([Buffer.from(prefix, 'hex'), Buffer.alloc(pointLength)]);
}
