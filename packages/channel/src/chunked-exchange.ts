import { asBytes, type Bytes, MalformedError, joinPieces } from '@cloister/bytes';
import { decodeStream } from './binary-http/decode-stream.ts';
import { encodeStream } from './binary-http/encode-stream.ts';
import { requestHead, toStreamedResponse } from './binary-http/fetch-message.ts';
import type { Field } from './binary-http/message.ts';
import { ChannelError } from './channel-error.ts';
import {
  CHUNKED_REQUEST_TYPE,
  CHUNKED_RESPONSE_TYPE,
  EVENT_STREAM_TYPE,
  mediaTypeOf,
} from './media-types.ts';
import { groupPieces, openChunks, sealChunks } from './ohttp/chunks.ts';
import { type RequestSender, setupRequest } from './ohttp/request-encryption.ts';
import { createResponseOpener, responseNonceSize } from './ohttp/response-encryption.ts';
import { expectEncapsulated, isProblem, refusedClock } from './outer-answer.ts';
import { paddedLength } from './padding.ts';
import { guardKey } from './recipient-key.ts';
import {
  type Attempt,
  type AttemptResult,
  type ExchangeOptions,
  fieldsFor,
  send,
} from './request-exchange.ts';
import { follow, readAhead, streamFrom } from './wire/byte-stream.ts';
import { StreamReader } from './wire/stream-reader.ts';
import type { WireAnswer } from './wire/wire-transport.ts';

const EMPTY: Bytes = new Uint8Array();
/** Answers that may be about the clock are read so far before they are given on. */
const PROBLEM_SIZE = 16_384;

/**
 * Sends a request in chunks (draft-ietf-ohai-chunked-ohttp-08), and gives the response as soon as its
 * head is there. Its body is an error, never an end, where the answer was cut off or changed.
 */
export async function exchangeChunked(
  options: ExchangeOptions,
  attempt: Attempt,
  content: Bytes | AsyncIterable<Bytes>,
): Promise<AttemptResult> {
  const { request, key } = attempt;
  const sender = await guardKey(() => setupRequest(key, 'chunked'));
  const whole = content instanceof Uint8Array ? content : EMPTY;
  const headers = await fieldsFor(options, attempt, sender, whole);
  const head = requestHead(request, options.service, headers);
  const pieces = content instanceof Uint8Array ? piecesOfBytes(content) : content;
  const answer = await send(options, request.signal, {
    type: CHUNKED_REQUEST_TYPE,
    accept: CHUNKED_RESPONSE_TYPE,
    incremental: true,
    body: sealMessage(sender, encodeStream(head, pieces, paddedLength)),
  });
  if ((await expectEncapsulated(answer, CHUNKED_RESPONSE_TYPE)) === 'stale_key')
    return { refused: 'stale_key' };
  try {
    return await openAnswer(sender, answer, options.maxAnswerBytes);
  } catch (error) {
    answer.cancel();
    throw error;
  }
}

async function* sealMessage(
  { start, context }: RequestSender,
  message: AsyncIterable<Bytes>,
): AsyncGenerator<Bytes, void, void> {
  yield start;
  yield* sealChunks(groupPieces(message), (pieces, aad) => context.sealPieces(pieces, aad));
}

async function* piecesOfBytes(content: Bytes): AsyncGenerator<Bytes, void, void> {
  if (content.length > 0) yield content;
}

async function openAnswer(
  sender: RequestSender,
  answer: WireAnswer,
  maxAnswerBytes: number,
): Promise<AttemptResult> {
  const plaintext = failing(openPlaintext(sender, answer), (cause) =>
    cause instanceof MalformedError && cause.code === 'truncated'
      ? new ChannelError('answer_truncated', { cause })
      : new ChannelError('open_failed', { cause }),
  );
  const { start, headers, content } = await readHead(plaintext);
  const body = failing(content, malformed);
  const head = { status: start.status, headers };
  if (isProblem(head.status, headers)) {
    const { pieces, ended } = await readAhead(body, PROBLEM_SIZE);
    const problem = joinPieces(pieces);
    const gatewayTime = ended ? refusedClock(head, problem) : undefined;
    if (gatewayTime !== undefined) return { refused: 'clock', gatewayTime };
    return respond(follow(pieces, body));
  }
  return respond(body);

  function respond(pieces: AsyncGenerator<Bytes, void, void>): AttemptResult {
    const limit = isEventStream(headers) ? Infinity : maxAnswerBytes;
    const stream = streamFrom(limited(pieces, limit, answer), () => answer.cancel());
    return { response: toStreamedResponse(head, stream) };
  }
}

async function* openPlaintext(
  sender: RequestSender,
  answer: WireAnswer,
): AsyncGenerator<Bytes, void, void> {
  const body = failing(answer.body, (cause) => new ChannelError('transport_failed', { cause }));
  const wire = new StreamReader(body, 'chunked answer', { owned: answer.owned === true });
  const nonce = (await wire.bytes(responseNonceSize(sender.hpke))).slice();
  yield* openChunks(wire, await createResponseOpener(sender, nonce));
}

async function readHead(plaintext: AsyncIterable<Bytes>) {
  try {
    const { start, headers, content } = await decodeStream(plaintext);
    if (start.kind === 'response') return { start, headers, content };
  } catch (error) {
    throw error instanceof ChannelError ? error : malformed(error);
  }
  throw new ChannelError('malformed_answer');
}

function malformed(cause: unknown): ChannelError {
  return new ChannelError('malformed_answer', { cause });
}

/** The pieces, with errors that say which layer failed; one that says so already passes. */
async function* failing(
  pieces: AsyncIterable<Uint8Array>,
  toError: (cause: unknown) => ChannelError,
): AsyncGenerator<Bytes, void, void> {
  try {
    for await (const piece of pieces) yield asBytes(piece);
  } catch (error) {
    throw error instanceof ChannelError ? error : toError(error);
  }
}

async function* limited(
  pieces: AsyncIterable<Bytes>,
  limit: number,
  answer: WireAnswer,
): AsyncGenerator<Bytes, void, void> {
  let length = 0;
  for await (const piece of pieces) {
    length += piece.length;
    if (length > limit) {
      answer.cancel();
      throw new ChannelError('answer_too_large');
    }
    yield piece;
  }
}

function isEventStream(fields: readonly Field[]): boolean {
  const type = fields.find(([name]) => name === 'content-type')?.[1] ?? '';
  return mediaTypeOf({ headers: new Headers({ 'content-type': type }) }) === EVENT_STREAM_TYPE;
}
