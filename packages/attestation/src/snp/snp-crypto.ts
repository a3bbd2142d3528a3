import { encodeHex, MalformedError, type Bytes } from '@cloister/bytes';
import { importVerifyKey } from '@cloister/crypto';
import { importWebEcKey } from '../web-ec-key.ts';

/** A public key that was imported, for one algorithm. */
export interface SnpKey {
  verify(signature: Bytes, data: Bytes): boolean | Promise<boolean>;
}

/** The primitives that AMD's evidence needs; see `EvidenceCrypto`, whose hash it shares. */
export interface SnpCrypto {
  /** ECDSA with SHA-384, by a point x‖y (96 bytes); undefined where it is not on the curve. */
  importP384(point: Bytes): SnpKey | undefined | Promise<SnpKey | undefined>;
  /** RSASSA-PSS with SHA-384 and 48 bytes of salt; undefined where the SPKI is no such key. */
  importRsaPss(spki: Bytes): SnpKey | undefined | Promise<SnpKey | undefined>;
  /** SHA-256 in lower hex. */
  sha256Hex(data: Bytes): string | Promise<string>;
}

const RSA_PSS = { name: 'RSA-PSS', saltLength: 48 };

/** The primitives by WebCrypto: what Node and browsers have alike. */
export const WEB_SNP_CRYPTO: SnpCrypto = {
  importP384: (point) => importWebEcKey(point, 'P-384'),
  async importRsaPss(spki) {
    let key: CryptoKey;
    try {
      key = await importVerifyKey(spki, 'rsa-pss-sha384');
    } catch (error) {
      if (error instanceof MalformedError) return undefined;
      throw error;
    }
    return { verify: (signature, data) => crypto.subtle.verify(RSA_PSS, key, signature, data) };
  },
  async sha256Hex(data) {
    return encodeHex(new Uint8Array(await crypto.subtle.digest('SHA-256', data)));
  },
};
