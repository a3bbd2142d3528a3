import { type Bytes, concatBytes, encodeUtf8, Reader } from '@cloister/bytes';
import {
  AEAD_IDS,
  type Hpke,
  HpkeError,
  HKDF_SHA256_ID,
  KEM_IDS,
  type KemPublicKey,
  type RecipientContext,
  type SenderContext,
} from '@cloister/crypto';
import { PieceReader } from '../wire/piece-reader.ts';
import type { StreamReader } from '../wire/stream-reader.ts';
import type { ChannelKeys } from './channel-keys.ts';

/** Whether a message is sealed as one (RFC 9458) or in chunks (draft-ietf-ohai-chunked-ohttp-08). */
export type Sealing = 'whole' | 'chunked';

const INFO_PREFIX: Readonly<Record<Sealing, Bytes>> = {
  whole: encodeUtf8('message/bhttp request\0'),
  chunked: encodeUtf8('message/bhttp chunked request\0'),
};
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
  readonly hpke: Hpke;
  readonly enc: Bytes;
  readonly context: SenderContext;
  /** What an encapsulated request begins with: header and encapsulated key. */
  readonly start: Bytes;
}

/** Begins an encapsulated request (RFC 9458 section 4.3): `enc` is known before the content is. */
export async function setupRequest(
  { keyId, hpke, publicKey }: RecipientKey,
  sealing: Sealing,
): Promise<RequestSender> {
  const header = encodeHeader(keyId, hpke);
  const info = concatBytes(INFO_PREFIX[sealing], header);
  const { enc, context } = await hpke.setupSender(publicKey, info);
  return { hpke, enc, context, start: concatBytes(header, enc) };
}

/** The encapsulated request (RFC 9458 section 4.3), in pieces as the binary request may be. */
export async function sealRequest(
  { start, context }: RequestSender,
  binaryRequest: readonly Bytes[],
): Promise<readonly Bytes[]> {
  return [start, ...(await context.sealPieces(binaryRequest))];
}

/** A gateway's half of one exchange. */
export interface RequestRecipient {
  readonly keys: ChannelKeys;
  readonly hpke: Hpke;
  readonly enc: Bytes;
  readonly context: RecipientContext;
}

/** A request that was opened as one. */
export interface OpenedRequest extends RequestRecipient {
  readonly binaryRequest: readonly Bytes[];
}

/**
 * Opens an encapsulated request (RFC 9458 section 4.3) that came in pieces with one of these keys. Whatever is wrong with
 * it (length, key id, KEM, suite, encapsulated key, ciphertext), the answer is the same: undefined.
 */
export async function openRequest(
  encapsulated: readonly Bytes[],
  keys: readonly ChannelKeys[],
): Promise<OpenedRequest | undefined> {
  const pieces = new PieceReader(encapsulated);
  const header = pieces.copy(HEADER_SIZE);
  const key = header === undefined ? undefined : selectKey(header, keys);
  if (header === undefined || key === undefined) return undefined;
  const enc = pieces.copy(key.hpke.kem.sizes.enc);
  if (enc === undefined) return undefined;
  return refusing(async () => {
    const recipient = await setupRecipient(key, header, enc, 'whole');
    const binaryRequest = await recipient.context.openPieces(pieces.rest());
    return { ...recipient, binaryRequest };
  });
}

/** Begins to open a request in chunks (section 6.1 of the draft); undefined as `openRequest`. */
export async function openChunkedRequest(
  reader: StreamReader,
  keys: readonly ChannelKeys[],
): Promise<RequestRecipient | undefined> {
  const header = (await reader.bytes(HEADER_SIZE)).slice();
  const key = selectKey(header, keys);
  if (key === undefined) return undefined;
  const enc = (await reader.bytes(key.hpke.kem.sizes.enc)).slice();
  return refusing(() => setupRecipient(key, header, enc, 'chunked'));
}

/** Turns every refusal of a key or a ciphertext into the one that the caller may show. */
async function refusing<T>(step: () => Promise<T>): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof HpkeError) return undefined;
    throw error;
  }
}

interface SelectedKey {
  readonly keys: ChannelKeys;
  readonly hpke: Hpke;
}

function selectKey(header: Bytes, keys: readonly ChannelKeys[]): SelectedKey | undefined {
  const reader = new Reader(header, 'OHTTP header');
  const [keyId, kemId] = [reader.u8(), reader.u16be()];
  const [kdfId, aeadId] = [reader.u16be(), reader.u16be()];
  const key = keys.find(({ config }) => config.keyId === keyId && KEM_IDS[config.kem] === kemId);
  const aead = key?.config.aeads.find((name) => AEAD_IDS[name] === aeadId);
  const hpke = aead === undefined ? undefined : key?.suites.get(aead);
  if (key === undefined || hpke === undefined || kdfId !== HKDF_SHA256_ID) return undefined;
  return { keys: key, hpke };
}

async function setupRecipient(
  { keys, hpke }: SelectedKey,
  header: Bytes,
  enc: Bytes,
  sealing: Sealing,
): Promise<RequestRecipient> {
  const info = concatBytes(INFO_PREFIX[sealing], header);
  return { keys, hpke, enc, context: await hpke.setupRecipient(keys.privateKey, enc, info) };
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
