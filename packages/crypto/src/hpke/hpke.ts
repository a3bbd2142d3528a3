import { type Bytes, concatBytes, encodeUtf8, joinPieces } from '@cloister/bytes';
import { allOf, type Awaitable } from './awaitable.ts';
import { createDhKem, guard } from './dh-kem.ts';
import { HpkeError } from './hpke-error.ts';
import { KEM_IDS, type Kem, type KemName, type KemPrivateKey, type KemPublicKey } from './kem.ts';
import { createLabeledKdf, encodeUint16 } from './labeled-kdf.ts';
import type { AesGcm, HpkePrimitives } from './primitives.ts';
import { WEB_PRIMITIVES } from './web-primitives.ts';
import { createXWing } from './x-wing.ts';

const EMPTY: Bytes = new Uint8Array();
const NONCE_SIZE = 12;

/** The AEADs that Cloister knows. */
export type AeadName = 'aes-128-gcm' | 'aes-256-gcm';

/** AEAD identifiers (RFC 9180 section 7.3). */
export const AEAD_IDS: Readonly<Record<AeadName, number>> = {
  'aes-128-gcm': 0x0001,
  'aes-256-gcm': 0x0002,
};

/** KDF identifier of HKDF-SHA256 (RFC 9180 section 7.2). */
export const HKDF_SHA256_ID = 0x0001;

/** What names a suite; `primitives` are WebCrypto unless given. */
export interface HpkeOptions {
  readonly kem: KemName;
  readonly kdf: 'hkdf-sha256';
  readonly aead: AeadName;
  readonly primitives?: HpkePrimitives;
}

/** What both ends of a context can derive (RFC 9180 section 5.3). */
export interface ExportingContext {
  readonly export: (exporterContext: Bytes, length: number) => Promise<Bytes>;
}

/** The sender's half: each `seal` takes the next sequence number. */
export interface SenderContext extends ExportingContext {
  seal(plaintext: Bytes, aad?: Bytes): Promise<Bytes>;
  /** As `seal`, for large messages: in pieces, out pieces, nothing copied to join them. */
  sealPieces(pieces: readonly Bytes[], aad?: Bytes): Promise<readonly Bytes[]>;
}

/** The recipient's half: messages open in the order in which they were sealed. */
export interface RecipientContext extends ExportingContext {
  /** The plaintext; HpkeError `open_failed` where it is not the next message of the sender. */
  open(ciphertext: Bytes, aad?: Bytes): Promise<Bytes>;
  /** As `open`, for large messages: in pieces, out pieces, nothing copied to join them. */
  openPieces(pieces: readonly Bytes[], aad?: Bytes): Promise<readonly Bytes[]>;
}

/** HPKE in base mode (RFC 9180) for one suite. */
export interface Hpke {
  readonly kem: Kem;
  readonly aead: AeadName;
  readonly aeadId: number;
  /** Nk and Nn of RFC 9180 section 7.3. */
  readonly keySize: number;
  readonly nonceSize: number;
  readonly primitives: HpkePrimitives;
  generateKeyPair(): Promise<KemPrivateKey>;
  deriveKeyPair(ikm: Bytes): Promise<KemPrivateKey>;
  deserializePublicKey(bytes: Bytes): Promise<KemPublicKey>;
  deserializePrivateKey(bytes: Bytes): Promise<KemPrivateKey>;
  /** SetupBaseS: a context for one encapsulation to this key. */
  setupSender(
    publicKey: KemPublicKey,
    info: Bytes,
  ): Promise<{ readonly enc: Bytes; readonly context: SenderContext }>;
  /** SetupBaseR; throws HpkeError `bad_encapsulation`. */
  setupRecipient(privateKey: KemPrivateKey, enc: Bytes, info: Bytes): Promise<RecipientContext>;
}

/** Makes HPKE for a suite: base mode, HKDF-SHA256 (RFC 9180). */
export function createHpke({ kem: kemName, aead, primitives = WEB_PRIMITIVES }: HpkeOptions): Hpke {
  const kem = kemName === 'x-wing' ? createXWing(primitives) : createDhKem(kemName, primitives);
  const aeadId = AEAD_IDS[aead];
  const keySize = aead === 'aes-128-gcm' ? 16 : 32;
  const suiteId = concatBytes(
    encodeUtf8('HPKE'),
    encodeUint16(KEM_IDS[kemName]),
    encodeUint16(HKDF_SHA256_ID),
    encodeUint16(aeadId),
  );
  const kdf = createLabeledKdf(primitives, suiteId);
  // The same for every context of the suite: worked out once.
  let pskIdHash: Awaitable<Bytes> | undefined;

  /** KeySchedule of RFC 9180 section 5.1 for mode_base. */
  async function schedule(sharedSecret: Bytes, info: Bytes): Promise<Schedule> {
    pskIdHash ??= kdf.extract(EMPTY, 'psk_id_hash', EMPTY);
    const [pskId, infoHash, secret] = await allOf([
      pskIdHash,
      kdf.extract(EMPTY, 'info_hash', info),
      kdf.extract(sharedSecret, 'secret', EMPTY),
    ]);
    const context = concatBytes(Uint8Array.of(0), pskId, infoHash);
    const [key, baseNonce, exporterSecret] = await allOf([
      kdf.expand(secret, 'key', context, keySize),
      kdf.expand(secret, 'base_nonce', context, NONCE_SIZE),
      kdf.expand(secret, 'exp', context, 32),
    ]);
    return {
      aead: await primitives.aesGcm(key),
      baseNonce,
      export: async (exporterContext, length) =>
        kdf.expand(exporterSecret, 'sec', exporterContext, length),
    };
  }

  return {
    kem,
    aead,
    aeadId,
    keySize,
    nonceSize: NONCE_SIZE,
    primitives,
    generateKeyPair: () => kem.generateKeyPair(),
    deriveKeyPair: (ikm) => kem.deriveKeyPair(ikm),
    deserializePublicKey: async (bytes) => kem.deserializePublicKey(bytes),
    deserializePrivateKey: (bytes) => kem.deserializePrivateKey(bytes),
    async setupSender(publicKey, info) {
      if (publicKey.kem !== kemName) throw new HpkeError('bad_public_key');
      const { sharedSecret, enc } = await publicKey.encapsulate();
      return { enc, context: createSender(await schedule(sharedSecret, info)) };
    },
    async setupRecipient(privateKey, enc, info) {
      if (privateKey.kem !== kemName) throw new HpkeError('bad_private_key');
      return createRecipient(await schedule(await privateKey.decapsulate(enc), info));
    },
  };
}

interface Schedule extends ExportingContext {
  readonly aead: AesGcm;
  readonly baseNonce: Bytes;
}

function createSender({ aead, baseNonce, export: exportSecret }: Schedule): SenderContext {
  let sequence = 0;
  const sealPieces = async (pieces: readonly Bytes[], aad = EMPTY): Promise<readonly Bytes[]> => {
    // Taken before anything is awaited: two seals at once never share a nonce.
    const nonce = computeNonce(baseNonce, sequence++);
    return aead.seal(nonce, aad, pieces);
  };
  return {
    export: exportSecret,
    sealPieces,
    seal: async (plaintext, aad) => concatBytes(...(await sealPieces([plaintext], aad))),
  };
}

function createRecipient({ aead, baseNonce, export: exportSecret }: Schedule): RecipientContext {
  let sequence = 0;
  let last: Promise<unknown> = Promise.resolve();
  const openPieces = (pieces: readonly Bytes[], aad = EMPTY): Promise<readonly Bytes[]> => {
    // One after the other: a message that does not open leaves the sequence number as it was.
    const next = last.then(async () => {
      const nonce = computeNonce(baseNonce, sequence);
      const plaintext = await guard('open_failed', () => aead.open(nonce, aad, pieces));
      sequence++;
      return plaintext;
    });
    last = next.catch(() => undefined);
    return next;
  };
  return {
    export: exportSecret,
    openPieces,
    open: async (ciphertext, aad) => joinPieces(await openPieces([ciphertext], aad)),
  };
}

/** ComputeNonce of RFC 9180 section 5.2 for a nonce of 12 bytes. Far below 2^96, where a counter in a double stops counting. */
export function computeNonce(baseNonce: Bytes, sequence: number): Bytes {
  if (sequence >= Number.MAX_SAFE_INTEGER) throw new HpkeError('message_limit');
  const nonce = new Uint8Array(baseNonce);
  const view = new DataView(nonce.buffer);
  view.setUint32(4, view.getUint32(4) ^ Math.floor(sequence / 0x1_0000_0000));
  view.setUint32(8, view.getUint32(8) ^ (sequence >>> 0));
  return nonce;
}
