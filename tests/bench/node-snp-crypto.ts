import { constants, createPublicKey, hash, verify, type KeyObject } from 'node:crypto';
import type { SnpCrypto } from '@cloister/attestation';

/** A SubjectPublicKeyInfo of P-384 up to the point (RFC 5480): the uncompressed x ‖ y follows. */
const SPKI_PREFIX = Buffer.from('3076301006072a8648ce3d020106052b8104002203620004', 'hex');
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 };

/** A P-384 key by node:crypto; undefined where the point is not on the curve. */
export function importP384(point: Uint8Array): KeyObject | undefined {
  return importSpki(Buffer.concat([SPKI_PREFIX, point]));
}

/** A key by node:crypto; undefined where the SPKI is none. */
export function importSpki(spki: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch {
    // What was read before as a key of this kind has nothing wrong with it but its numbers.
    return undefined;
  }
}

/** Whether r ‖ s over the data verifies with the key. */
export function verifyP384(key: KeyObject, signature: Uint8Array, data: Uint8Array): boolean {
  return verify('sha384', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

/** Whether RSASSA-PSS with SHA-384 verifies with the key. */
export function verifyPss(key: KeyObject, signature: Uint8Array, data: Uint8Array): boolean {
  return verify('sha384', data, { key, ...PSS }, signature);
}

/** The primitives by node:crypto: synchronous, so no thread switch per signature. */
export const NODE_SNP_CRYPTO: SnpCrypto = {
  importP384(point) {
    const key = importP384(point);
    return key && { verify: (signature, data) => verifyP384(key, signature, data) };
  },
  importRsaPss(spki) {
    const key = importSpki(spki);
    return key && { verify: (signature, data) => verifyPss(key, signature, data) };
  },
  sha256Hex: (data) => hash('sha256', data, 'hex'),
};
