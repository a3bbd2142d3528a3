import { type Bytes, concatBytes, encodeUtf8 } from '@cloister/bytes';
import { type ExportingContext, type Hpke, hkdfExpand, hkdfExtract } from '@cloister/crypto';

const RESPONSE_LABEL = encodeUtf8('message/bhttp response');
const KEY = encodeUtf8('key');
const NONCE = encodeUtf8('nonce');
const EMPTY: Bytes = new Uint8Array();

/** max(Nn, Nk): the length of the response nonce and of the exported secret. */
export function responseNonceSize({ keySize, nonceSize }: Hpke): number {
  return Math.max(keySize, nonceSize);
}

/** The AEAD and nonce of the one response to an encapsulated request (RFC 9458 section 4.4). */
async function deriveResponseAead(
  hpke: Hpke,
  context: ExportingContext,
  enc: Bytes,
  responseNonce: Bytes,
) {
  const { primitives, keySize, nonceSize } = hpke;
  const secret = await context.export(RESPONSE_LABEL, responseNonceSize(hpke));
  const prk = await hkdfExtract(primitives, concatBytes(enc, responseNonce), secret);
  const [key, nonce] = await Promise.all([
    hkdfExpand(primitives, prk, KEY, keySize),
    hkdfExpand(primitives, prk, NONCE, nonceSize),
  ]);
  return { aead: await primitives.aesGcm(key), nonce };
}

/** An encapsulated response (RFC 9458 section 4.4): `responseNonce` must be fresh and random. In pieces. */
export async function sealResponse(
  hpke: Hpke,
  context: ExportingContext,
  enc: Bytes,
  responseNonce: Bytes,
  plaintext: readonly Bytes[],
): Promise<readonly Bytes[]> {
  const { aead, nonce } = await deriveResponseAead(hpke, context, enc, responseNonce);
  return [responseNonce, ...(await aead.seal(nonce, EMPTY, plaintext))];
}

/** The plaintext of an encapsulated response; throws where it does not belong to the request. */
export async function openResponse(
  hpke: Hpke,
  context: ExportingContext,
  enc: Bytes,
  encapsulated: Bytes,
): Promise<Bytes> {
  const size = responseNonceSize(hpke);
  if (encapsulated.length < size) throw new RangeError('shorter than its nonce');
  const responseNonce = encapsulated.slice(0, size);
  const { aead, nonce } = await deriveResponseAead(hpke, context, enc, responseNonce);
  return aead.open(nonce, EMPTY, encapsulated.subarray(size));
}
