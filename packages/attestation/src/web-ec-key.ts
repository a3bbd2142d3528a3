import { concatBytes, type Bytes } from '@cloister/bytes';

/** A public key on a NIST curve, imported by WebCrypto. */
export interface WebEcKey {
  /** Whether this raw r‖s signs the data. */
  verify(signature: Bytes, data: Bytes): Promise<boolean>;
}

/** The hash that goes with each curve, in Intel's quotes and in AMD's reports. */
const HASHES = { 'P-256': 'SHA-256', 'P-384': 'SHA-384' } as const;
const UNCOMPRESSED = Uint8Array.of(4);

/** Imports a point x‖y; undefined where it is not on the curve. */
export async function importWebEcKey(
  point: Bytes,
  namedCurve: keyof typeof HASHES,
): Promise<WebEcKey | undefined> {
  const raw = concatBytes(UNCOMPRESSED, point);
  const ecdsa = { name: 'ECDSA', hash: HASHES[namedCurve] };
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey('raw', raw, { name: 'ECDSA', namedCurve }, false, [
      'verify',
    ]);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'DataError') return undefined;
    throw error;
  }
  return { verify: (signature, data) => crypto.subtle.verify(ecdsa, key, signature, data) };
}
