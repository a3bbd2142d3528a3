import type { Bytes } from '@cloister/bytes';

/** Random bytes, asked for by length: an argument, so that libraries have no hidden source. */
export type Random = (length: number) => Bytes;

/** Length of every key and salt here, in bytes. */
export const KEY_LENGTH = 32;

/** A key from which one-time object keys are derived; its bytes cannot be read back. */
export interface SealingKey {
  /** A random name, or a fixed one for the keys of the tenant itself. Not secret. */
  readonly id: string;
  readonly hkdf: CryptoKey;
}

/** A sealing key of 32 random bytes. */
export async function importSealingKey(id: string, raw: Bytes): Promise<SealingKey> {
  if (raw.length !== KEY_LENGTH) throw new RangeError(`a sealing key has ${KEY_LENGTH} bytes`);
  return { id, hkdf: await crypto.subtle.importKey('raw', raw, 'HKDF', false, ['deriveKey']) };
}

/**
 * The AES-256-GCM key of one object (design 4): HKDF-SHA-256 (RFC 5869) of the key, a fresh
 * random salt that is stored beside the object, and what the object is. The salt is never used
 * again, so the key seals one message (or one numbered sequence) and a constant nonce is safe.
 */
export function deriveObjectKey(key: SealingKey, salt: Bytes, info: Bytes): Promise<CryptoKey> {
  return crypto.subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt, info },
    key.hkdf,
    { name: 'AES-GCM', length: 256 },
    false,
    ['encrypt', 'decrypt'],
  );
}
