import { type Bytes, MalformedError, joinPieces } from '@cloister/bytes';
import { HpkeError } from '@cloister/crypto';
import { checkContent } from './binary-http/check-content.ts';
import { decodeStream } from './binary-http/decode-stream.ts';
import { encodeHead } from './binary-http/encode-message.ts';
import { encodeStream } from './binary-http/encode-stream.ts';
import {
  datedFields,
  type ResponseHead,
  responseHead,
  toRequest,
  toStreamedRequest,
} from './binary-http/fetch-message.ts';
import { encodeTicks } from './event-ticks.ts';
import {
  type Answerer,
  expectRequest,
  freshNonce,
  internalError,
  malformedRequest,
} from './gateway-answer.ts';
import type { GatewayOptions } from './gateway-options.ts';
import { CHUNKED_RESPONSE_TYPE, EVENT_STREAM_TYPE, mediaTypeOf } from './media-types.ts';
import type { ChannelKeys } from './ohttp/channel-keys.ts';
import { groupPieces, openChunks, sealChunks } from './ohttp/chunks.ts';
import { openChunkedRequest, type RequestRecipient } from './ohttp/request-encryption.ts';
import { createResponseSealer, responseNonceSize } from './ohttp/response-encryption.ts';
import { paddedLength } from './padding.ts';
import { keyProblem, tooLarge } from './problem.ts';
import { follow, readAhead, readPiecesOf, streamFrom } from './wire/byte-stream.ts';
import { ownsWireBody, wireBodyOf } from './wire/lent-body.ts';
import { StreamReader } from './wire/stream-reader.ts';

/** Content up to this size is awaited, so that no application acts on a message that was cut off. */
const AWAITED = 65_536;

interface ChunkedOptions extends GatewayOptions {
  readonly maxChunkedBytes: number;
  readonly answer: Answerer;
}

/** The part of a gateway that takes requests in chunks (draft-ietf-ohai-chunked-ohttp-08). */
export function createChunkedGateway(
  options: ChunkedOptions,
): (request: Request) => Promise<Response> {
  const { keys, now, onError, wait, answer, maxChunkedBytes } = options;

  /** The application's answer, or that the request is broken, where that shows while it is read. */
  async function answerMessage(
    { recipient, plaintext }: FirstChunk,
    signal: AbortSignal,
  ): Promise<Response> {
    let broken = false;
    try {
      const { start, headers, content } = await decodeStream(plaintext);
      const head = { ...expectRequest(start), headers };
      const watched = checkContent(content, head, () => {
        broken = true;
      });
      const { pieces, ended } = await readAhead(watched, AWAITED);
      const response = await answer({
        head,
        toRequest: () =>
          ended
            ? toRequest(head, joinPieces(pieces), signal)
            : toStreamedRequest(head, follow(pieces, watched), signal),
        recipient,
        isBroken: () => broken,
      });
      if (!broken) return response;
      response.body?.cancel().catch(() => undefined);
    } catch (error) {
      if (!(error instanceof MalformedError || error instanceof HpkeError)) throw error;
    }
    return malformedRequest();
  }

  /** What is known of a response before its content; the one for a failure where it cannot be written. */
  function headOf(response: Response): ResponseHead | undefined {
    try {
      const head = responseHead(response, datedFields(response.headers, now()));
      encodeHead(head);
      return head;
    } catch (error) {
      onError?.(error);
      return undefined;
    }
  }

  /** The response in chunks; it breaks off, without a final chunk, where the application's does. */
  async function* sealStream(
    response: Response,
    head: ResponseHead,
    recipient: RequestRecipient,
    content: AsyncGenerator<Bytes, void, void>,
  ): AsyncGenerator<Bytes, void, void> {
    const nonce = await freshNonce(recipient, responseNonceSize(recipient.hpke));
    const seal = await createResponseSealer(recipient, nonce);
    yield nonce;
    try {
      yield* sealChunks(
        mediaTypeOf(response) === EVENT_STREAM_TYPE
          ? encodeTicks(head, content, wait)
          : groupPieces(encodeStream(head, content, paddedLength)),
        seal,
      );
    } catch (error) {
      onError?.(error);
      throw error;
    } finally {
      // Of no effect where it was read to its end.
      content.return().catch(() => undefined);
    }
  }

  return async (request) => {
    let tooLong = false;
    const body = limited(wireBodyOf(request), maxChunkedBytes, () => {
      tooLong = true;
    });
    const owned = ownsWireBody(request);
    const wire = new StreamReader(body, 'chunked request', { owned });
    const opened = await openFirstChunk(wire, keys());
    if (opened === undefined) return tooLong ? tooLarge() : keyProblem();
    const answered = await answerMessage(opened, request.signal);
    const settled = tooLong ? tooLarge() : answered;
    const head = headOf(settled);
    const response = head === undefined ? internalError() : settled;
    const reader = response.body?.getReader();
    const sealed = sealStream(
      response,
      head ?? responseHead(response, datedFields(response.headers, now())),
      opened.recipient,
      readPiecesOf(reader),
    );
    const stream = streamFrom(sealed, () => {
      reader?.cancel().catch(() => undefined);
    });
    return new Response(stream, {
      headers: {
        'content-type': CHUNKED_RESPONSE_TYPE,
        'cache-control': 'no-store',
        incremental: '?1',
      },
    });
  };
}

interface FirstChunk {
  readonly recipient: RequestRecipient;
  readonly plaintext: AsyncGenerator<Bytes, void, void>;
}

/** What shows that the message was made for one of these keys; undefined whatever is wrong with it. */
async function openFirstChunk(
  wire: StreamReader,
  keys: readonly ChannelKeys[],
): Promise<FirstChunk | undefined> {
  try {
    const recipient = await openChunkedRequest(wire, keys);
    if (recipient === undefined) return undefined;
    const { context } = recipient;
    const chunks = openChunks(wire, (sealed, aad) => context.open(sealed, aad));
    const first = await chunks.next();
    return { recipient, plaintext: follow(first.done === true ? [] : [first.value], chunks) };
  } catch (error) {
    if (error instanceof MalformedError || error instanceof HpkeError) return undefined;
    throw error;
  }
}

async function* limited(
  source: AsyncIterable<Uint8Array>,
  most: number,
  onExceeded: () => void,
): AsyncGenerator<Uint8Array, void, void> {
  let length = 0;
  for await (const piece of source) {
    length += piece.length;
    if (length > most) {
      onExceeded();
      throw new MalformedError('too_large', 'chunked request');
    }
    yield piece;
  }
}
