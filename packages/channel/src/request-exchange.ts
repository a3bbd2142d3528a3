import type { Bytes } from '@cloister/bytes';
import { concatBytes, MalformedError } from '@cloister/bytes';
import { decodeMessage } from './binary-http/decode-message.ts';
import { encodePieces } from './binary-http/encode-message.ts';
import { datedFields, requestHead, toResponse } from './binary-http/fetch-message.ts';
import type { BinaryResponse, Field } from './binary-http/message.ts';
import { type CallSigner, signCall } from './call/sign-call.ts';
import { ChannelError } from './channel-error.ts';
import { REQUEST_TYPE, RESPONSE_TYPE } from './media-types.ts';
import {
  type RecipientKey,
  type RequestSender,
  sealRequest,
  setupRequest,
} from './ohttp/request-encryption.ts';
import { openResponse } from './ohttp/response-encryption.ts';
import { expectEncapsulated, readAnswer, refusedClock } from './outer-answer.ts';
import { paddedLength } from './padding.ts';
import { guardKey } from './recipient-key.ts';
import type { Scratch } from './wire/scratch.ts';
import type { WireAnswer, WireCall } from './wire/wire-transport.ts';

/** What both ways of sending a request need. */
export interface ExchangeOptions {
  /** Name of the service: the authority inside. */
  readonly service: string;
  readonly url: string;
  readonly exchange: (call: WireCall) => Promise<WireAnswer>;
  readonly random: (length: number) => Bytes;
  readonly signer: CallSigner | undefined;
  readonly maxAnswerBytes: number;
  /** Where the pieces of answers are put together. */
  readonly scratch: Scratch;
}

/** One attempt to send a request: a new encapsulation each time. */
export interface Attempt {
  readonly request: Request;
  readonly key: RecipientKey;
  /** For the Date field, and for the call's signature. */
  readonly date: Date;
}

/** The response, or why the gateway refused before anything happened. */
export type AttemptResult =
  | { readonly response: Response }
  | { readonly refused: 'stale_key' }
  | { readonly refused: 'clock'; readonly gatewayTime: number };

/** Sends a request as one (RFC 9458 section 4). */
export async function exchangeWhole(
  options: ExchangeOptions,
  attempt: Attempt,
  content: Bytes,
): Promise<AttemptResult> {
  const { request, key } = attempt;
  const sender = await guardKey(() => setupRequest(key, 'whole'));
  const headers = await fieldsFor(options, attempt, sender, content);
  const head = requestHead(request, options.service, headers);
  const message = encodePieces(head, [content], paddedLength);
  const answer = await send(options, request.signal, {
    type: REQUEST_TYPE,
    accept: RESPONSE_TYPE,
    body: await sealRequest(sender, message),
  });
  if ((await expectEncapsulated(answer, RESPONSE_TYPE)) === 'stale_key')
    return { refused: 'stale_key' };
  const encapsulated = await readAnswer(answer, options.maxAnswerBytes);
  if (encapsulated === undefined) throw new ChannelError('answer_too_large');
  const response = await options.scratch.with(
    { pieces: encapsulated, owned: answer.owned === true },
    (few) => openAnswer(sender, few),
  );
  const gatewayTime = refusedClock(response, response.content);
  return gatewayTime === undefined
    ? { response: toResponse(response) }
    : { refused: 'clock', gatewayTime };
}

/** The fields of the request: its own, the Date, and what proves the caller where one is to be proved. */
export async function fieldsFor(
  { signer, random }: ExchangeOptions,
  { request, key, date }: Attempt,
  { enc, hpke }: RequestSender,
  content: Bytes,
): Promise<readonly Field[]> {
  const fields = datedFields(request.headers, date);
  if (signer === undefined) return fields;
  const binding = await hpke.primitives.sha256(concatBytes(enc, key.config));
  return signCall(request, content, fields, { signer, binding, created: date, random });
}

/** Sends what was sealed to the gateway. */
export async function send(
  { url, exchange }: ExchangeOptions,
  signal: AbortSignal,
  call: {
    readonly type: string;
    readonly accept: string;
    readonly incremental?: boolean;
    readonly body: WireCall['body'];
  },
): Promise<WireAnswer> {
  const headers = {
    'content-type': call.type,
    accept: call.accept,
    ...(call.incremental === true ? { incremental: '?1' } : {}),
  };
  try {
    return await exchange({ url, headers, body: call.body, signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw new ChannelError('transport_failed', { cause });
  }
}

async function openAnswer(
  sender: RequestSender,
  encapsulated: readonly Bytes[],
): Promise<BinaryResponse> {
  let plaintext: readonly Bytes[];
  try {
    plaintext = await openResponse(sender, encapsulated);
  } catch (cause) {
    throw new ChannelError('open_failed', { cause });
  }
  try {
    const { message } = decodeMessage(plaintext);
    if (message.kind === 'response') return message;
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    throw new ChannelError('malformed_answer', { cause });
  }
  throw new ChannelError('malformed_answer');
}
