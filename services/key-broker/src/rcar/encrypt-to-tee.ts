import { encodeBase64url, encodeUtf8, MalformedError, Writer, type Bytes } from '@cloister/bytes';
import { aesKeyWrap, encryptJwe, sha256, spkiFromJwk, type Jwk } from '@cloister/crypto';
import type { Random } from '@cloister/sealing';

/** The algorithm that goes with an EC key of a client (RFC 7518, section 4.6; Trustee's protocol). */
export const EC_ALG = 'ECDH-ES+A256KW';
const ENC = 'A256GCM';
const TAG_LENGTH = 16;

/** A JWE in its flattened form (RFC 7516, section 7.2.2). */
export type FlattenedJwe = Readonly<
  Record<'protected' | 'encrypted_key' | 'iv' | 'ciphertext' | 'tag', string>
>;

/**
 * Encrypts to a client's `tee-pubkey`: RSA-OAEP-256, or ECDH-ES+A256KW for a key on P-256 or P-384;
 * A256GCM. MalformedError where the key is none of these.
 */
export async function encryptToTee(
  key: Jwk,
  plaintext: Uint8Array<ArrayBuffer>,
  random: Random,
): Promise<FlattenedJwe> {
  if (key.kty === 'EC') return encryptToEc(key, plaintext, random);
  const compact = await encryptJwe({ key, plaintext, random });
  const [head = '', encryptedKey = '', iv = '', ciphertext = '', tag = ''] = compact.split('.');
  return { protected: head, encrypted_key: encryptedKey, iv, ciphertext, tag };
}

/** Imports an EC key for key agreement: MalformedError for other curves, and for points off theirs. */
export async function importAgreementKey(jwk: Jwk): Promise<CryptoKey> {
  const spki = spkiFromJwk(jwk);
  try {
    return await crypto.subtle.importKey('spki', spki, curveOf(jwk), false, []);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    throw new MalformedError('bad_value', 'EC key', { cause: error });
  }
}

/**
 * One round of the Concat KDF with SHA-256 (RFC 7518, section 4.6.2; NIST SP 800-56A): at most 256
 * bits of key for an algorithm, from an agreed secret.
 */
export async function concatKdf(input: {
  readonly secret: Uint8Array;
  readonly algorithm: string;
  readonly bits: number;
  readonly apu?: Uint8Array;
  readonly apv?: Uint8Array;
}): Promise<Bytes> {
  const { secret, algorithm, bits, apu = new Uint8Array(0), apv = new Uint8Array(0) } = input;
  if (bits > 256 || bits % 8 !== 0) throw new RangeError('one round gives 256 bits');
  const info = new Writer().u32be(1).bytes(secret);
  for (const part of [encodeUtf8(algorithm), apu, apv]) info.u32be(part.length).bytes(part);
  const digest = await sha256(info.u32be(bits).finish());
  return digest.slice(0, bits / 8);
}

async function encryptToEc(
  jwk: Jwk,
  plaintext: Uint8Array<ArrayBuffer>,
  random: Random,
): Promise<FlattenedJwe> {
  const publicKey = await importAgreementKey(jwk);
  const curve = curveOf(jwk);
  const ephemeral = await crypto.subtle.generateKey(curve, true, ['deriveBits']);
  const {
    kty = '',
    crv = '',
    x = '',
    y = '',
  } = await crypto.subtle.exportKey('jwk', ephemeral.publicKey);
  const header = { alg: EC_ALG, enc: ENC, epk: { kty, crv, x, y } };
  const head = encodeBase64url(encodeUtf8(JSON.stringify(header)));
  const agreed = { name: 'ECDH', public: publicKey };
  const length = curve.namedCurve === 'P-256' ? 256 : 384;
  const bits = await crypto.subtle.deriveBits(agreed, ephemeral.privateKey, length);
  const secret = new Uint8Array(bits);
  const kek = await concatKdf({ secret, algorithm: EC_ALG, bits: 256 });
  const contentKey = random(32);
  const encryptedKey = await aesKeyWrap(kek, contentKey);
  const aes = await crypto.subtle.importKey('raw', contentKey, 'AES-GCM', false, ['encrypt']);
  for (const spent of [secret, kek, contentKey]) spent.fill(0);
  const iv = random(12);
  const additionalData = encodeUtf8(head);
  const sealed = new Uint8Array(
    await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData }, aes, plaintext),
  );
  const end = sealed.length - TAG_LENGTH;
  return {
    protected: head,
    encrypted_key: encodeBase64url(encryptedKey),
    iv: encodeBase64url(iv),
    ciphertext: encodeBase64url(sealed.subarray(0, end)),
    tag: encodeBase64url(sealed.subarray(end)),
  };
}

function curveOf({ crv }: Jwk): EcKeyImportParams {
  return { name: 'ECDH', namedCurve: crv === 'P-384' ? 'P-384' : 'P-256' };
}
