import { asBytes, encodeHex, MalformedError, type Bytes } from '@cloister/bytes';
import { modulusBits, parsePublicKey, type NamedCurve } from './public-key.ts';
import type { SignatureAlgorithm } from './signature-algorithm.ts';

/** The shortest RSA modulus that counts (RFC 7518, 3.3; NIST SP 800-131A). */
const MIN_RSA_BITS = 2048;
/** The longest RSA modulus that is worked on: more is a burden, not a key. */
const MAX_RSA_BITS = 8192;

interface Usage {
  readonly curve?: NamedCurve;
  readonly import: EcKeyImportParams | RsaHashedImportParams;
  readonly verify: EcdsaParams | RsaPssParams | { readonly name: string };
}

const USAGES: Readonly<Record<SignatureAlgorithm, Usage>> = {
  'ecdsa-sha256': {
    curve: 'P-256',
    import: { name: 'ECDSA', namedCurve: 'P-256' },
    verify: { name: 'ECDSA', hash: 'SHA-256' },
  },
  'ecdsa-sha384': {
    curve: 'P-384',
    import: { name: 'ECDSA', namedCurve: 'P-384' },
    verify: { name: 'ECDSA', hash: 'SHA-384' },
  },
  'rsa-pkcs1-sha256': {
    import: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    verify: { name: 'RSASSA-PKCS1-v1_5' },
  },
  'rsa-pkcs1-sha384': {
    import: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' },
    verify: { name: 'RSASSA-PKCS1-v1_5' },
  },
  'rsa-pss-sha256': {
    import: { name: 'RSA-PSS', hash: 'SHA-256' },
    verify: { name: 'RSA-PSS', saltLength: 32 },
  },
  'rsa-pss-sha384': {
    import: { name: 'RSA-PSS', hash: 'SHA-384' },
    verify: { name: 'RSA-PSS', saltLength: 48 },
  },
};

/** Keeps imported keys, so that a key that signs often is imported once. */
export interface KeyCache {
  /** As `importVerifyKey`; the same SPKI and algorithm give the same CryptoKey. */
  importVerifyKey(spki: Bytes, algorithm: SignatureAlgorithm): Promise<CryptoKey>;
}

/** A key cache of at most `capacity` keys: the one that was used longest ago makes room. */
export function createKeyCache(capacity = 256): KeyCache {
  const keys = new Map<string, Promise<CryptoKey>>();
  return {
    importVerifyKey(spki, algorithm) {
      const id = `${algorithm}:${encodeHex(spki)}`;
      const known = keys.get(id);
      if (known !== undefined) {
        keys.delete(id);
        keys.set(id, known);
        return known;
      }
      const key = importVerifyKey(spki, algorithm);
      keys.set(id, key);
      key.catch(() => {
        if (keys.get(id) === key) keys.delete(id);
      });
      for (const oldest of keys.keys()) {
        if (keys.size <= capacity) break;
        keys.delete(oldest);
      }
      return key;
    },
  };
}

/**
 * Imports a SubjectPublicKeyInfo to verify signatures of one algorithm. MalformedError where the
 * key does not fit the algorithm: another type or curve, a point off its curve, a compressed
 * point, an RSA modulus below 2048 bits.
 */
export async function importVerifyKey(
  spki: Bytes,
  algorithm: SignatureAlgorithm,
): Promise<CryptoKey> {
  const usage = USAGES[algorithm];
  const key = parsePublicKey(spki);
  const fits =
    key.type === 'ec'
      ? key.curve === usage.curve
      : usage.curve === undefined &&
        modulusBits(key.modulus) >= MIN_RSA_BITS &&
        modulusBits(key.modulus) <= MAX_RSA_BITS;
  if (!fits) throw new MalformedError('bad_value', `public key for ${algorithm}`);
  try {
    return await crypto.subtle.importKey('spki', spki, usage.import, true, ['verify']);
  } catch (error) {
    throw new MalformedError('bad_value', `public key for ${algorithm}`, { cause: error });
  }
}

/**
 * Whether `signature` (r ‖ s for ECDSA) over `data` verifies with the key. A key that cannot be
 * read, or does not fit the algorithm, verifies nothing.
 */
export async function verifySignature(
  spki: Bytes,
  algorithm: SignatureAlgorithm,
  signature: Uint8Array,
  data: Uint8Array,
  cache?: KeyCache,
): Promise<boolean> {
  let key: CryptoKey;
  try {
    key = await (cache?.importVerifyKey(spki, algorithm) ?? importVerifyKey(spki, algorithm));
  } catch (error) {
    if (error instanceof MalformedError) return false;
    throw error;
  }
  return crypto.subtle.verify(USAGES[algorithm].verify, key, asBytes(signature), asBytes(data));
}
