import { encodeHex, type Bytes } from '@cloister/bytes';
import type { Equal } from './content-lru.ts';
import { importWebEcKey } from '../web-ec-key.ts';

/** A P-256 public key that was imported: it verifies ECDSA with SHA-256, signatures raw r‖s. */
export interface P256Key {
  verify(signature: Bytes, data: Bytes): boolean | Promise<boolean>;
}

/**
 * The two primitives that Intel evidence needs. WebCrypto is the default; where a synchronous
 * implementation is at hand (node:crypto) it saves a thread switch per signature.
 */
export interface EvidenceCrypto {
  /** The key of a point x‖y (64 bytes); undefined where it is not on the curve. */
  importP256(point: Bytes): P256Key | undefined | Promise<P256Key | undefined>;
  /** SHA-256 in lower hex. */
  sha256Hex(data: Bytes): string | Promise<string>;
  /** Whether byte strings, which are no secrets, are equal: where that is faster than a loop. */
  readonly equal?: Equal;
}

/** The primitives by WebCrypto: what Node and browsers have alike. */
export const WEB_CRYPTO: EvidenceCrypto = {
  importP256: (point) => importWebEcKey(point, 'P-256'),
  async sha256Hex(data) {
    return encodeHex(new Uint8Array(await crypto.subtle.digest('SHA-256', data)));
  },
};
