import { type Bytes, concatBytes, copyBytes, encodeUtf8, isZero } from '@cloister/bytes';
import { HpkeError, type HpkeErrorCode } from './hpke-error.ts';
import { KEM_IDS, type Kem, type KemPrivateKey } from './kem.ts';
import { createLabeledKdf, encodeUint16 } from './labeled-kdf.ts';
import type { Awaitable } from './awaitable.ts';
import type { DhPrivateKey, HpkePrimitives } from './primitives.ts';

const EMPTY: Bytes = new Uint8Array();
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** DHKEM(X25519, HKDF-SHA256) or DHKEM(P-256, HKDF-SHA256) of RFC 9180 section 4.1. */
export function createDhKem(name: 'x25519' | 'p-256', primitives: HpkePrimitives): Kem {
  const id = KEM_IDS[name];
  const group = name === 'x25519' ? primitives.x25519 : primitives.p256;
  const publicKeySize = name === 'x25519' ? 32 : 65;
  const kdf = createLabeledKdf(primitives, concatBytes(encodeUtf8('KEM'), encodeUint16(id)));

  async function extractAndExpand(dh: Bytes, enc: Bytes, publicKey: Bytes): Promise<Bytes> {
    const prk = await kdf.extract(EMPTY, 'eae_prk', dh);
    return kdf.expand(prk, 'shared_secret', concatBytes(enc, publicKey), 32);
  }

  async function deserializePrivateKey(bytes: Bytes): Promise<KemPrivateKey> {
    if (bytes.length !== 32) throw new HpkeError('bad_private_key');
    const secret = copyBytes(bytes);
    const key = await guard('bad_private_key', () => group.import(secret));
    return {
      kem: name,
      publicKey: key.publicKey,
      serialize: () => copyBytes(secret),
      async decapsulate(enc) {
        if (enc.length !== publicKeySize) throw new HpkeError('bad_encapsulation');
        const dh = await agree(key, enc, 'bad_encapsulation');
        return extractAndExpand(dh, enc, key.publicKey);
      },
    };
  }

  async function deriveKeyPair(ikm: Bytes): Promise<KemPrivateKey> {
    const prk = await kdf.extract(EMPTY, 'dkp_prk', ikm);
    if (name === 'x25519') return deserializePrivateKey(await kdf.expand(prk, 'sk', EMPTY, 32));
    // Rejection sampling: each candidate depends on its counter, and the first almost always fits.
    for (let counter = 0; counter < 256; counter++) {
      // oxlint-disable-next-line no-await-in-loop -- a second candidate is needed once in 2^32 keys
      const candidate = await kdf.expand(prk, 'candidate', Uint8Array.of(counter), 32);
      if (isScalar(candidate)) return deserializePrivateKey(candidate);
    }
    throw new HpkeError('bad_private_key');
  }

  return {
    name,
    id,
    sizes: { secret: 32, enc: publicKeySize, publicKey: publicKeySize, privateKey: 32 },
    generateKeyPair: async () => deriveKeyPair(await primitives.generateSecret()),
    deriveKeyPair,
    deserializePrivateKey,
    deserializePublicKey(bytes) {
      if (bytes.length !== publicKeySize) throw new HpkeError('bad_public_key');
      const publicKey = copyBytes(bytes);
      return Promise.resolve({
        kem: name,
        bytes: publicKey,
        async encapsulate() {
          const ephemeral = await group.generate();
          const enc = ephemeral.publicKey;
          const dh = await agree(ephemeral, publicKey, 'bad_public_key');
          return { enc, sharedSecret: await extractAndExpand(dh, enc, publicKey) };
        },
      });
    },
  };
}

/** A Diffie-Hellman result; the all-zero one is refused (RFC 9180 section 7.1.4). */
export async function agree(
  key: DhPrivateKey,
  publicKey: Bytes,
  code: HpkeErrorCode,
): Promise<Bytes> {
  const dh = await guard(code, () => key.agree(publicKey));
  if (isZero(dh)) throw new HpkeError(code);
  return dh;
}

/** Turns whatever a provider throws about a key into one code: the cause is kept for people only. */
export async function guard<T>(code: HpkeErrorCode, step: () => Awaitable<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    throw new HpkeError(code, { cause });
  }
}

function isScalar(candidate: Bytes): boolean {
  let value = 0n;
  for (const byte of candidate) value = (value << 8n) | BigInt(byte);
  return value > 0n && value < P256_ORDER;
}
