import {
  asBytes,
  concatBytes,
  decodeBase64url,
  encodeBase64url,
  encodeUtf8,
  MalformedError,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { modulusBits, parsePublicKey } from '../x509/public-key.ts';
import { parseHeader, splitCompact } from './compact.ts';
import { spkiFromJwk, type Jwk } from './jwk.ts';

/** The one pair of algorithms that is used here (RFC 7518, sections 4.3 and 5.3). */
const ALG = 'RSA-OAEP-256';
const ENC = 'A256GCM';
const OAEP = { name: 'RSA-OAEP', hash: 'SHA-256' } as const;
const [IV_LENGTH, TAG_LENGTH, KEY_LENGTH] = [12, 16, 32];

/** What `decryptJwe` may say no with. All failures of cryptography look alike. */
export type JweCode =
  | 'malformed'
  | 'alg_not_allowed'
  | 'critical_header'
  | 'wrong_type'
  | 'decryption_failed';

/** The outcome of a decryption. Header and plaintext exist only when it succeeded. */
export type JweResult =
  | { readonly ok: true; readonly header: JsonObject; readonly plaintext: Bytes }
  | { readonly ok: false; readonly code: JweCode };

/**
 * Encrypts to an RSA key of 2048 bits or more: a compact JWE with RSA-OAEP-256 and A256GCM (RFC
 * 7516, 5.1). MalformedError where the JWK is no such key or is not for encryption.
 */
export async function encryptJwe(input: {
  readonly key: Jwk;
  readonly header?: JsonObject;
  readonly plaintext: Uint8Array;
  readonly random: (length: number) => Bytes;
}): Promise<string> {
  const { key, header = {}, plaintext, random } = input;
  const publicKey = await importEncryptKey(key);
  const head = encodeBase64url(encodeUtf8(JSON.stringify({ ...header, alg: ALG, enc: ENC })));
  const contentKey = random(KEY_LENGTH);
  const iv = random(IV_LENGTH);
  if (contentKey.length !== KEY_LENGTH || iv.length !== IV_LENGTH) {
    throw new RangeError('random gave another length');
  }
  const encryptedKey = await crypto.subtle.encrypt(OAEP, publicKey, contentKey);
  const aes = await crypto.subtle.importKey('raw', contentKey, 'AES-GCM', false, ['encrypt']);
  contentKey.fill(0);
  const sealed = new Uint8Array(
    await crypto.subtle.encrypt(gcm(iv, head), aes, asBytes(plaintext)),
  );
  const end = sealed.length - TAG_LENGTH;
  const parts = [new Uint8Array(encryptedKey), iv, sealed.subarray(0, end), sealed.subarray(end)];
  return [head, ...parts.map(encodeBase64url)].join('.');
}

/**
 * Decrypts a compact JWE with the one private key that the caller chose (RSA-OAEP with SHA-256).
 * Other algorithms, `zip` and `crit` are refused; `typ`, when given, must be equal.
 */
export async function decryptJwe(
  compact: string,
  options: { readonly key: CryptoKey; readonly typ?: string },
): Promise<JweResult> {
  let parts: readonly Bytes[];
  let header: JsonObject;
  const [head = ''] = compact.split('.', 1);
  try {
    const [, ...texts] = splitCompact(compact, 5, 'JWE');
    header = parseHeader(head, 'JWE');
    parts = texts.map((text) => decodeBase64url(text, 'JWE'));
  } catch (error) {
    if (error instanceof MalformedError) return { ok: false, code: 'malformed' };
    throw error;
  }
  if (header['alg'] !== ALG || header['enc'] !== ENC) return { ok: false, code: 'alg_not_allowed' };
  // RFC 7516, 4.1.3: zip changes the plaintext; it is not understood here, so it is refused.
  if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'zip')) {
    return { ok: false, code: 'critical_header' };
  }
  if (options.typ !== undefined && header['typ'] !== options.typ) {
    return { ok: false, code: 'wrong_type' };
  }
  const [encryptedKey, iv, ciphertext, tag] = parts;
  if (iv?.length !== IV_LENGTH || tag?.length !== TAG_LENGTH) {
    return { ok: false, code: 'malformed' };
  }
  if (encryptedKey === undefined || ciphertext === undefined) {
    return { ok: false, code: 'malformed' };
  }
  const sealed = concatBytes(ciphertext, tag);
  const plaintext = await open(options.key, encryptedKey, gcm(iv, head), sealed);
  return plaintext === undefined
    ? { ok: false, code: 'decryption_failed' }
    : { ok: true, header, plaintext };
}

/** The plaintext, or undefined where either layer does not decrypt. */
async function open(
  key: CryptoKey,
  encryptedKey: Bytes,
  algorithm: AesGcmParams,
  sealed: Bytes,
): Promise<Bytes | undefined> {
  try {
    const contentKey = new Uint8Array(await crypto.subtle.decrypt(OAEP, key, encryptedKey));
    if (contentKey.length !== KEY_LENGTH) return undefined;
    const aes = await crypto.subtle.importKey('raw', contentKey, 'AES-GCM', false, ['decrypt']);
    contentKey.fill(0);
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, aes, sealed));
  } catch (error) {
    // The one thing that WebCrypto says about ciphertexts (W3C WebCrypto, decrypt operations).
    if (error instanceof DOMException && error.name === 'OperationError') return undefined;
    throw error;
  }
}

function gcm(iv: Bytes, head: string): AesGcmParams {
  return { name: 'AES-GCM', iv, additionalData: encodeUtf8(head), tagLength: 8 * TAG_LENGTH };
}

async function importEncryptKey(jwk: Jwk): Promise<CryptoKey> {
  const fits = (jwk.use ?? 'enc') === 'enc' && (jwk.alg ?? ALG) === ALG;
  const spki = spkiFromJwk(jwk);
  const key = parsePublicKey(spki);
  // RFC 7518, section 4.3: 2048 bits or more.
  if (!fits || key.type !== 'rsa' || modulusBits(key.modulus) < 2048) {
    throw new MalformedError('bad_value', 'JWK for RSA-OAEP-256');
  }
  return crypto.subtle.importKey('spki', spki, OAEP, false, ['encrypt']);
}
