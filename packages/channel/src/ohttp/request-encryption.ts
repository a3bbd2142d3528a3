import { type Bytes, concatBytes, encodeUtf8, Reader } from '@cloister/bytes';
import {
  AEAD_IDS,
  type AeadName,
  type Hpke,
  HpkeError,
  HKDF_SHA256_ID,
  KEM_IDS,
  type KemPublicKey,
  type RecipientContext,
  type SenderContext,
} from '@cloister/crypto';
import type { ChannelKeys } from './channel-keys.ts';

const INFO_PREFIX = encodeUtf8('message/bhttp request\0');
const HEADER_SIZE = 7;

/** A key of the peer, chosen and ready for encapsulations. */
export interface RecipientKey {
  readonly keyId: number;
  readonly hpke: Hpke;
  readonly publicKey: KemPublicKey;
  /** The key configuration (without length): part of what a caller signs. */
  readonly config: Bytes;
}

/** A sender's half of one exchange, before its request is sealed. */
export interface RequestSender {
  readonly enc: Bytes;
  readonly context: SenderContext;
  /** The encapsulated request, in pieces as the binary request may be. */
  seal(binaryRequest: readonly Bytes[]): Promise<readonly Bytes[]>;
}

/** Begins an encapsulated request (RFC 9458 section 4.3): `enc` is known before the content is. */
export async function setupRequest({
  keyId,
  hpke,
  publicKey,
}: RecipientKey): Promise<RequestSender> {
  const header = encodeHeader(keyId, hpke);
  const { enc, context } = await hpke.setupSender(publicKey, concatBytes(INFO_PREFIX, header));
  return {
    enc,
    context,
    seal: async (binaryRequest) => [header, enc, ...(await context.sealPieces(binaryRequest))],
  };
}

/** A gateway's half of one exchange. */
export interface OpenedRequest {
  readonly keys: ChannelKeys;
  readonly hpke: Hpke;
  readonly enc: Bytes;
  readonly context: RecipientContext;
  readonly binaryRequest: Bytes;
}

/**
 * Opens an encapsulated request (RFC 9458 section 4.3) with one of these keys. Whatever is wrong with
 * it (length, key id, KEM, suite, encapsulated key, ciphertext), the answer is the same: undefined.
 */
export async function openRequest(
  encapsulated: Bytes,
  keys: readonly ChannelKeys[],
): Promise<OpenedRequest | undefined> {
  if (encapsulated.length < HEADER_SIZE) return undefined;
  const header = encapsulated.slice(0, HEADER_SIZE);
  const reader = new Reader(header, 'OHTTP header');
  const [keyId, kemId] = [reader.u8(), reader.u16be()];
  const [kdfId, aeadId] = [reader.u16be(), reader.u16be()];
  const key = keys.find(({ config }) => config.keyId === keyId && KEM_IDS[config.kem] === kemId);
  const aead = key?.config.aeads.find((name) => AEAD_IDS[name] === aeadId);
  const hpke = aead === undefined ? undefined : suiteOf(key, aead);
  if (key === undefined || hpke === undefined || kdfId !== HKDF_SHA256_ID) return undefined;
  const ciphertextAt = HEADER_SIZE + hpke.kem.sizes.enc;
  if (encapsulated.length < ciphertextAt) return undefined;
  const enc = encapsulated.slice(HEADER_SIZE, ciphertextAt);
  try {
    const info = concatBytes(INFO_PREFIX, header);
    const context = await hpke.setupRecipient(key.privateKey, enc, info);
    const binaryRequest = await context.open(encapsulated.subarray(ciphertextAt));
    return { keys: key, hpke, enc, context, binaryRequest };
  } catch (error) {
    if (error instanceof HpkeError) return undefined;
    throw error;
  }
}

function suiteOf(key: ChannelKeys | undefined, aead: AeadName): Hpke | undefined {
  return key?.suites.get(aead);
}

function encodeHeader(keyId: number, hpke: Hpke): Bytes {
  const header = new Uint8Array(HEADER_SIZE);
  const view = new DataView(header.buffer);
  view.setUint8(0, keyId);
  view.setUint16(1, hpke.kem.id);
  view.setUint16(3, HKDF_SHA256_ID);
  view.setUint16(5, hpke.aeadId);
  return header;
}
