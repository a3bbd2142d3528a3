import { createPublicKey, hash, verify, type KeyObject } from 'node:crypto';
import type { EvidenceCrypto } from '@cloister/attestation';
import { asBytes } from '@cloister/bytes';

/** A SubjectPublicKeyInfo of P-256 up to the point (RFC 5480): the uncompressed x ‖ y follows. */
const SPKI_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');

/** A P-256 key by node:crypto; undefined where the point is not on the curve. */
export function importP256(point: Uint8Array): KeyObject | undefined {
  const key = Buffer.concat([SPKI_PREFIX, point]);
  try {
    return createPublicKey({ key, format: 'der', type: 'spki' });
  } catch {
    // Everything but the point is constant: nothing else can be wrong with it.
    return undefined;
  }
}

/** Whether r ‖ s over the data verifies with the key. */
export function verifyP256(key: KeyObject, signature: Uint8Array, data: Uint8Array): boolean {
  return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

/** The primitives by node:crypto: synchronous, so no thread switch per signature. */
export const NODE_CRYPTO: EvidenceCrypto = {
  importP256(point) {
    const key = importP256(point);
    return key && { verify: (signature, data) => verifyP256(key, signature, data) };
  },
  sha256: (data) => asBytes(hash('sha256', data, 'buffer')),
};
