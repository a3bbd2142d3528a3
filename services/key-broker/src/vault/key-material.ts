import { constants, createPrivateKey, createPublicKey, publicEncrypt } from 'node:crypto';
import {
  asBytes,
  concatBytes,
  decodeBase64url,
  isJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { aesKeyWrapPadded, type Jwk } from '@cloister/crypto';
import { VaultError } from './vault-error.ts';

/** How a released key may be wrapped, and the hash of OAEP in each (spec/key-broker.md 2.5). */
const OAEP_HASH = {
  CKM_RSA_AES_KEY_WRAP: 'sha1',
  RSA_AES_KEY_WRAP_256: 'sha256',
  RSA_AES_KEY_WRAP_384: 'sha384',
} as const;

/** A way of wrapping. */
export type KeyWrapping = keyof typeof OAEP_HASH;

/** The way that a request names; the oldest where it names none, as in Azure. */
export function readWrapping(value: unknown): KeyWrapping {
  if (value === undefined) return 'CKM_RSA_AES_KEY_WRAP';
  const known = ['CKM_RSA_AES_KEY_WRAP', 'RSA_AES_KEY_WRAP_256', 'RSA_AES_KEY_WRAP_384'] as const;
  const found = known.find((one) => one === value);
  if (found === undefined) throw new VaultError('BadParameter', 'enc');
  return found;
}

/** An imported key: its type, and the bytes that are kept and released. */
export interface KeyMaterial {
  readonly kty: 'oct' | 'RSA' | 'EC';
  /** The bytes of an `oct` key; PKCS #8 (RFC 5958) of the others. */
  readonly bytes: Bytes;
}

/** Reads the JWK of an import; `-HSM` names the same keys. */
export function readKeyMaterial(value: unknown): KeyMaterial {
  if (!isJsonObject(value) || typeof value['kty'] !== 'string')
    throw new VaultError('BadParameter', 'key');
  const kty = value['kty'].replace(/-HSM$/, '');
  try {
    if (kty === 'oct') {
      const { k } = value;
      const bytes = decodeBase64url(typeof k === 'string' ? k : '', 'key');
      if (![16, 24, 32].includes(bytes.length)) throw new VaultError('BadParameter', 'key: length');
      return { kty, bytes };
    }
    if (kty === 'RSA' || kty === 'EC') {
      const key = createPrivateKey({ format: 'jwk', key: { ...value, kty } });
      return { kty, bytes: asBytes(key.export({ format: 'der', type: 'pkcs8' })) };
    }
  } catch (error) {
    if (error instanceof VaultError) throw error;
    // Not as the cause: the engine's message may quote the key.
    throw new VaultError('BadParameter', 'key');
  }
  throw new VaultError('BadParameter', 'key: kty');
}

/** The public half of a kept key, as Key Vault shows it; of a symmetric one, its type alone. */
export function publicMembers({ kty, bytes }: KeyMaterial): JsonObject {
  if (kty === 'oct') return {};
  const key = createPrivateKey({ format: 'der', type: 'pkcs8', key: Buffer.from(bytes) });
  const { n, e, crv, x, y } = createPublicKey(key).export({ format: 'jwk' });
  return kty === 'RSA' ? { n: n ?? '', e: e ?? '' } : { crv: crv ?? '', x: x ?? '', y: y ?? '' };
}

/**
 * Wraps a key for a TEE (PKCS #11, CKM_RSA_AES_KEY_WRAP): RSA-OAEP of a fresh AES-256 key, then the
 * key under AES-KWP (RFC 5649).
 */
export async function wrapKey(
  bytes: Uint8Array,
  { to, wrapping, random }: { to: Jwk; wrapping: KeyWrapping; random: (length: number) => Bytes },
): Promise<Bytes> {
  const key = createPublicKey({
    format: 'jwk',
    key: { kty: to.kty, n: to.n ?? '', e: to.e ?? '' },
  });
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048)
    throw new VaultError('Forbidden', 'the wrapping key is too short');
  const ephemeral = random(32);
  const oaepHash = OAEP_HASH[wrapping];
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const encrypted = publicEncrypt({ key, padding, oaepHash }, ephemeral);
  const wrapped = await aesKeyWrapPadded(ephemeral, bytes);
  ephemeral.fill(0);
  return concatBytes(encrypted, wrapped);
}
