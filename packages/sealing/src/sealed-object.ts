import { type Bytes, concatBytes, MalformedError, Reader, Writer } from '@cloister/bytes';
import { encodeObjectRef, type ObjectRef } from './object-ref.ts';
import { deriveObjectKey, KEY_LENGTH, type Random, type SealingKey } from './sealing-key.ts';
import { TamperedError } from './tampered-error.ts';

const FORMAT = 1;
const TAG_LENGTH = 16;
const NONCE: Bytes = new Uint8Array(12);
const NOTHING: Bytes = new Uint8Array(0);

/**
 * Seals one object (design 4): format byte, 32 bytes of fresh salt, AES-256-GCM ciphertext and
 * tag. The reference and `context` (where the object stands) are authenticated with it.
 */
export async function sealObject(
  key: SealingKey,
  ref: ObjectRef,
  plaintext: Bytes,
  options: { readonly random: Random; readonly context?: Bytes },
): Promise<Bytes> {
  const salt = options.random(KEY_LENGTH);
  const info = encodeObjectRef(ref);
  const objectKey = await deriveObjectKey(key, salt, info);
  const sealed = await crypto.subtle.encrypt(
    { name: 'AES-GCM', iv: NONCE, additionalData: concatBytes(info, options.context ?? NOTHING) },
    objectKey,
    plaintext,
  );
  return new Writer().u8(FORMAT).bytes(salt).bytes(new Uint8Array(sealed)).finish();
}

/**
 * Opens what `sealObject` sealed. TamperedError where the bytes, the reference, the context or
 * the key are not those it was sealed with; MalformedError where it is no sealed object at all.
 */
export async function openObject(
  key: SealingKey,
  ref: ObjectRef,
  sealed: Uint8Array,
  context: Bytes = NOTHING,
): Promise<Bytes> {
  const reader = new Reader(sealed, 'sealed object');
  if (reader.u8() !== FORMAT) throw new MalformedError('bad_value', 'sealed object: format');
  const salt = reader.bytes(KEY_LENGTH);
  const ciphertext = reader.rest();
  if (ciphertext.length < TAG_LENGTH) throw new MalformedError('truncated', 'sealed object');
  const info = encodeObjectRef(ref);
  const objectKey = await deriveObjectKey(key, salt, info);
  const additionalData = concatBytes(info, context);
  return decrypt(objectKey, { name: 'AES-GCM', iv: NONCE, additionalData }, ciphertext, 'object');
}

/** AES-GCM decryption whose only failure, a wrong tag, is a TamperedError. */
export async function decrypt(
  key: CryptoKey,
  algorithm: AesGcmParams,
  ciphertext: Bytes,
  where: string,
): Promise<Bytes> {
  try {
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, ciphertext));
  } catch (error) {
    throw new TamperedError('not_authentic', where, { cause: error });
  }
}
