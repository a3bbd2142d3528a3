import {
  type Bytes,
  concatBytes,
  decodeBase64url,
  decodeHex,
  MalformedError,
  joinPieces,
} from '@cloister/bytes';
import { sha3Of256 } from './keccak.ts';
import type { AesGcm, DhGroup, DhPrivateKey, HpkePrimitives, MlKem768 } from './primitives.ts';

// RFC 8410 section 7: PrivateKeyInfo up to the 32 bytes of the key.
const X25519_PKCS8 = decodeHex('302e020100300506032b656e04220420');
// RFC 5208 around RFC 5915 without the public key, up to the 32 bytes of the key.
const P256_PKCS8 = decodeHex(
  '3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420',
);
const P256 = { name: 'ECDH', namedCurve: 'P-256' } as const;
const X25519 = { name: 'X25519' } as const;
const HMAC = { name: 'HMAC', hash: 'SHA-256' } as const;
const ML_KEM = 'ML-KEM-768';

/**
 * The modern algorithms of WebCrypto (WICG draft), which TypeScript's library does not know yet.
 * Present in Node 24.7 and Chromium 156.
 */
interface ModernSubtle {
  importKey(
    format: 'raw-seed' | 'raw-public',
    data: Bytes,
    algorithm: string,
    extractable: boolean,
    usages: readonly string[],
  ): Promise<CryptoKey>;
  exportKey(format: 'jwk', key: CryptoKey): Promise<JsonWebKey & { readonly pub?: string }>;
  encapsulateBits(
    algorithm: string,
    key: CryptoKey,
  ): Promise<{ readonly ciphertext: ArrayBuffer; readonly sharedKey: ArrayBuffer }>;
  decapsulateBits(algorithm: string, key: CryptoKey, ciphertext: Bytes): Promise<ArrayBuffer>;
}

function modernSubtle(): ModernSubtle {
  const subtle: unknown = crypto.subtle;
  if (!isModern(subtle)) throw new TypeError('WebCrypto without ML-KEM');
  return subtle;
}

function isModern(subtle: unknown): subtle is ModernSubtle {
  return typeof subtle === 'object' && subtle !== null && 'encapsulateBits' in subtle;
}

const x25519: DhGroup = {
  async generate() {
    const pair = await crypto.subtle.generateKey(X25519, false, ['deriveBits']);
    if (!('privateKey' in pair)) throw new TypeError('WebCrypto made no key pair');
    const publicKey = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
    return x25519Key(pair.privateKey, publicKey);
  },
  async import(privateKey) {
    const key = await crypto.subtle.importKey(
      'pkcs8',
      concatBytes(X25519_PKCS8, checkLength(privateKey, 32)),
      X25519,
      true,
      ['deriveBits'],
    );
    const jwk = await crypto.subtle.exportKey('jwk', key);
    return x25519Key(key, decodeBase64url(jwk.x ?? ''));
  },
};

function x25519Key(key: CryptoKey, publicKey: Bytes): DhPrivateKey {
  return {
    publicKey,
    async agree(peer) {
      const imported = await crypto.subtle.importKey('raw', peer, X25519, false, []);
      const algorithm = { name: 'X25519', public: imported };
      return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, 256));
    },
  };
}

const p256: DhGroup = {
  async generate() {
    const pair = await crypto.subtle.generateKey(P256, false, ['deriveBits']);
    const publicKey = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
    return p256Key(pair.privateKey, publicKey);
  },
  async import(privateKey) {
    const pkcs8 = concatBytes(P256_PKCS8, checkLength(privateKey, 32));
    const key = await crypto.subtle.importKey('pkcs8', pkcs8, P256, true, ['deriveBits']);
    const { x, y } = await crypto.subtle.exportKey('jwk', key);
    const point = [Uint8Array.of(4), decodeBase64url(x ?? ''), decodeBase64url(y ?? '')];
    return p256Key(key, concatBytes(...point));
  },
};

function p256Key(key: CryptoKey, publicKey: Bytes): DhPrivateKey {
  return {
    publicKey,
    async agree(peer) {
      // RFC 9180 section 7.1.1: uncompressed only, though OpenSSL would take other forms as well.
      if (peer.length !== 65 || peer[0] !== 4) throw new MalformedError('bad_value', 'P-256 point');
      const imported = await crypto.subtle.importKey('raw', peer, P256, false, []);
      const algorithm = { name: 'ECDH', public: imported };
      return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, 256));
    },
  };
}

const mlKem768: MlKem768 = {
  async import(seed) {
    const subtle = modernSubtle();
    const usages = ['decapsulateBits'];
    const key = await subtle.importKey('raw-seed', checkLength(seed, 64), ML_KEM, true, usages);
    const { pub } = await subtle.exportKey('jwk', key);
    return {
      publicKey: checkLength(decodeBase64url(pub ?? ''), 1184),
      decapsulate: async (ciphertext) =>
        new Uint8Array(await subtle.decapsulateBits(ML_KEM, key, ciphertext)),
    };
  },
  async importPublic(publicKey) {
    const subtle = modernSubtle();
    const raw = checkLength(publicKey, 1184);
    const key = await subtle.importKey('raw-public', raw, ML_KEM, false, ['encapsulateBits']);
    return {
      async encapsulate() {
        const { ciphertext, sharedKey } = await subtle.encapsulateBits(ML_KEM, key);
        return {
          ciphertext: new Uint8Array(ciphertext),
          sharedSecret: new Uint8Array(sharedKey),
        };
      },
    };
  },
};

/** HPKE's primitives on WebCrypto: the default, in Node and in browsers. */
export const WEB_PRIMITIVES: HpkePrimitives = {
  async generateSecret() {
    const key = await crypto.subtle.generateKey({ ...HMAC, length: 256 }, true, ['sign']);
    return new Uint8Array(await crypto.subtle.exportKey('raw', key));
  },
  async sha256(data) {
    return new Uint8Array(await crypto.subtle.digest('SHA-256', data));
  },
  // WebCrypto has no SHA-3.
  sha3Of256,
  async hmacSha256(key, ...data) {
    // Zeros fill an HMAC key up to the block anyway, and WebCrypto refuses an empty one.
    const raw = key.length === 0 ? new Uint8Array(32) : key;
    const imported = await crypto.subtle.importKey('raw', raw, HMAC, false, ['sign']);
    return new Uint8Array(await crypto.subtle.sign('HMAC', imported, concatBytes(...data)));
  },
  async aesGcm(key): Promise<AesGcm> {
    const usages: KeyUsage[] = ['encrypt', 'decrypt'];
    const imported = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, usages);
    return {
      seal: async (nonce, aad, pieces) => [
        new Uint8Array(await crypto.subtle.encrypt(gcm(nonce, aad), imported, joinPieces(pieces))),
      ],
      open: async (nonce, aad, pieces) => [
        new Uint8Array(await crypto.subtle.decrypt(gcm(nonce, aad), imported, joinPieces(pieces))),
      ],
    };
  },
  x25519,
  p256,
  mlKem768,
};

function gcm(nonce: Bytes, additionalData: Bytes): AesGcmParams {
  return { name: 'AES-GCM', iv: checkLength(nonce, 12), additionalData };
}

function checkLength(bytes: Bytes, length: number): Bytes {
  if (bytes.length !== length)
    throw new MalformedError('bad_value', `key or nonce of ${length} bytes`);
  return bytes;
}
