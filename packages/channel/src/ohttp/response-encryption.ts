import { type Bytes, concatBytes, encodeUtf8, joinPieces } from '@cloister/bytes';
import {
  type AesGcm,
  computeNonce,
  type ExportingContext,
  type Hpke,
  hkdfExpand,
  hkdfExtract,
  HpkeError,
} from '@cloister/crypto';
import { PieceReader } from '../wire/piece-reader.ts';
import type { ChunkOpener, ChunkSealer } from './chunks.ts';
import type { Sealing } from './request-encryption.ts';

const LABEL: Readonly<Record<Sealing, Bytes>> = {
  whole: encodeUtf8('message/bhttp response'),
  chunked: encodeUtf8('message/bhttp chunked response'),
};
const KEY = encodeUtf8('key');
const NONCE = encodeUtf8('nonce');
const EMPTY: Bytes = new Uint8Array();

/** One exchange, as either half knows it once the request is there. */
export interface Exchange {
  readonly hpke: Hpke;
  readonly enc: Bytes;
  readonly context: ExportingContext;
}

interface ResponseAead {
  readonly aead: AesGcm;
  readonly nonce: Bytes;
}

/** max(Nn, Nk): the length of the response nonce and of the exported secret. */
export function responseNonceSize({ keySize, nonceSize }: Hpke): number {
  return Math.max(keySize, nonceSize);
}

/** AEAD and nonce of the one response to a request (RFC 9458 section 4.4; the draft, section 6.2). */
async function deriveResponseAead(
  { hpke, enc, context }: Exchange,
  responseNonce: Bytes,
  sealing: Sealing,
): Promise<ResponseAead> {
  const { primitives, keySize, nonceSize } = hpke;
  const secret = await context.export(LABEL[sealing], responseNonceSize(hpke));
  const prk = await hkdfExtract(primitives, concatBytes(enc, responseNonce), secret);
  const [key, nonce] = await Promise.all([
    hkdfExpand(primitives, prk, keySize, KEY),
    hkdfExpand(primitives, prk, nonceSize, NONCE),
  ]);
  return { aead: await primitives.aesGcm(key), nonce };
}

/** An encapsulated response (RFC 9458 section 4.4), in pieces: `responseNonce` must be fresh and random. */
export async function sealResponse(
  exchange: Exchange,
  responseNonce: Bytes,
  plaintext: readonly Bytes[],
): Promise<readonly Bytes[]> {
  const { aead, nonce } = await deriveResponseAead(exchange, responseNonce, 'whole');
  return [responseNonce, ...(await aead.seal(nonce, EMPTY, plaintext))];
}

/** The plaintext of an encapsulated response, in pieces as that may be; throws where it does not belong to the request. */
export async function openResponse(
  exchange: Exchange,
  encapsulated: readonly Bytes[],
): Promise<readonly Bytes[]> {
  const pieces = new PieceReader(encapsulated);
  const responseNonce = pieces.copy(responseNonceSize(exchange.hpke));
  if (responseNonce === undefined) throw new RangeError('shorter than its nonce');
  const { aead, nonce } = await deriveResponseAead(exchange, responseNonce, 'whole');
  return aead.open(nonce, EMPTY, pieces.rest());
}

/** Seals the chunks of a response (the draft, section 6.2): each takes the next counter. */
export async function createResponseSealer(
  exchange: Exchange,
  responseNonce: Bytes,
): Promise<ChunkSealer> {
  const { aead, nonce } = await deriveResponseAead(exchange, responseNonce, 'chunked');
  let counter = 0;
  return async (pieces, aad) => aead.seal(computeNonce(nonce, counter++), aad, pieces);
}

/** Opens the chunks of a response in order; HpkeError `open_failed` where one is not the next. */
export async function createResponseOpener(
  exchange: Exchange,
  responseNonce: Bytes,
): Promise<ChunkOpener> {
  const { aead, nonce } = await deriveResponseAead(exchange, responseNonce, 'chunked');
  let counter = 0;
  return async (sealed, aad) => {
    try {
      return joinPieces(await aead.open(computeNonce(nonce, counter++), aad, [sealed]));
    } catch (cause) {
      throw new HpkeError('open_failed', { cause });
    }
  };
}
