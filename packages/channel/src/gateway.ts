import { type Bytes, concatBytes, MalformedError } from '@cloister/bytes';
import { decodeMessage } from './binary-http/decode-message.ts';
import { encodePieces } from './binary-http/encode-message.ts';
import { datedFields, responseHead, toRequest } from './binary-http/fetch-message.ts';
import { createChunkedGateway } from './chunked-gateway.ts';
import {
  createAnswerer,
  expectRequest,
  freshNonce,
  internalError,
  malformedRequest,
} from './gateway-answer.ts';
import type { Gateway, GatewayOptions } from './gateway-options.ts';
import { CHUNKED_REQUEST_TYPE, mediaTypeOf, REQUEST_TYPE, RESPONSE_TYPE } from './media-types.ts';
import { type OpenedRequest, openRequest } from './ohttp/request-encryption.ts';
import { responseNonceSize, sealResponse } from './ohttp/response-encryption.ts';
import { paddedLength } from './padding.ts';
import { keyProblem, problemResponse, tooLarge } from './problem.ts';
import { lengthOf, readPieces } from './wire/byte-stream.ts';
import { HeldResponse } from './wire/held-message.ts';
import { ownsWireBody, wireBodyOf } from './wire/lent-body.ts';
import { Scratch } from './wire/scratch.ts';

/** 32 MiB of content, its fields, and padding. */
const MAX_REQUEST_BYTES = 38 * 1024 * 1024;
/** Below this, answers go out in one piece: to copy them costs less than to write several. */
const SMALL = 65_536;

/**
 * Makes a gateway (RFC 9458 section 5; in chunks, draft-ietf-ohai-chunked-ohttp-08). What cannot be
 * opened is answered outside, always with the same 400 `#ohttp-key`; whatever was opened is answered
 * 200 outside, and the real status is inside.
 */
export function createGateway(options: GatewayOptions): Gateway {
  const { keys, now, onError, maxRequestBytes = MAX_REQUEST_BYTES } = options;
  const { maxChunkedBytes = maxRequestBytes } = options;
  const answer = createAnswerer(options);
  const handleChunked = createChunkedGateway({ ...options, maxChunkedBytes, answer });
  const scratch = new Scratch();

  async function handleWhole(request: Request): Promise<Response> {
    const pieces = await readPieces(wireBodyOf(request), maxRequestBytes);
    if (pieces === undefined) return tooLarge();
    const owned = ownsWireBody(request);
    const opened = await scratch.with({ pieces, owned }, (few) => openRequest(few, keys()));
    return opened === undefined ? keyProblem() : answerOpened(opened, request.signal);
  }

  async function answerOpened(opened: OpenedRequest, signal: AbortSignal): Promise<Response> {
    let response: Response;
    try {
      const message = expectRequest(decodeMessage(opened.binaryRequest).message);
      if (message.trailers.length > 0) throw new MalformedError('bad_value', 'inner request');
      response = await answer({
        head: message,
        toRequest: () => toRequest(message, message.content, signal),
        recipient: opened,
      });
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      response = malformedRequest();
    }
    const plaintext = await encodeResponse(response, now());
    const nonce = await freshNonce(opened, responseNonceSize(opened.hpke));
    const sealed = await sealResponse(opened, nonce, plaintext);
    const length = lengthOf(sealed);
    return new HeldResponse(length <= SMALL ? [concatBytes(...sealed)] : sealed, {
      headers: {
        'content-type': RESPONSE_TYPE,
        'content-length': String(length),
        'cache-control': 'no-store',
      },
    });
  }

  async function encodeResponse(response: Response, date: Date): Promise<readonly Bytes[]> {
    try {
      const head = responseHead(response, datedFields(response.headers, date));
      return encodePieces(head, await HeldResponse.piecesOf(response), paddedLength);
    } catch (error) {
      // The application's body broke off, or its response cannot be written down.
      onError?.(error);
      return encodeResponse(internalError(), date);
    }
  }

  return {
    async handle(request) {
      if (request.method !== 'POST')
        return problemResponse(405, 'urn:cloister:method_not_allowed', 'Only POST');
      const type = mediaTypeOf(request);
      const chunked = type === CHUNKED_REQUEST_TYPE;
      if (!chunked && type !== REQUEST_TYPE)
        return problemResponse(415, 'urn:cloister:unsupported_media_type', `Only ${REQUEST_TYPE}`);
      const announced = Number(request.headers.get('content-length') ?? 0);
      if (announced > (chunked ? maxChunkedBytes : maxRequestBytes)) {
        request.body?.cancel().catch(() => undefined);
        return tooLarge();
      }
      return chunked ? handleChunked(request) : handleWhole(request);
    },
  };
}
