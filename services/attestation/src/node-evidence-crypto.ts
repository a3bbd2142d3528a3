import { createHash, createPublicKey, verify } from 'node:crypto';
import type { EvidenceCrypto } from '@cloister/attestation';
import { asBytes } from '@cloister/bytes';

/** A SubjectPublicKeyInfo of P-256 up to the point (RFC 5480): the uncompressed x ‖ y follows. */
const SPKI_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');

/**
 * The verifier's primitives by `node:crypto`: small verifications cost less here than the change
 * of threads that each WebCrypto call makes.
 */
export const NODE_CRYPTO: EvidenceCrypto = {
  importP256(point) {
    const key = importPoint(point);
    if (key === undefined) return undefined;
    return {
      verify: (signature, data) =>
        verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature),
    };
  },
  sha256: (data) => asBytes(createHash('sha256').update(data).digest()),
};

function importPoint(point: Uint8Array): ReturnType<typeof createPublicKey> | undefined {
  const key = Buffer.concat([SPKI_PREFIX, point]);
  try {
    return createPublicKey({ key, format: 'der', type: 'spki' });
  } catch {
    // All but the point is constant: it is the point that lies on no curve.
    return undefined;
  }
}
