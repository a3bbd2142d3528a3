import { type Bytes, concatBytes, MalformedError } from '@cloister/bytes';
import { decodeMessage } from './binary-http/decode-message.ts';
import { encodeMessage } from './binary-http/encode-message.ts';
import { fieldsOf, responseMessage, toRequest } from './binary-http/fetch-message.ts';
import type { BinaryRequest } from './binary-http/message.ts';
import type { ChannelKeys } from './ohttp/channel-keys.ts';
import { type OpenedRequest, openRequest } from './ohttp/request-encryption.ts';
import { responseNonceSize, sealResponse } from './ohttp/response-encryption.ts';
import { paddedLength } from './padding.ts';
import { DATE_PROBLEM, KEY_PROBLEM, problemResponse } from './problem.ts';
import { readBody } from './read-body.ts';
import { createReplayMemory, type ReplayMemory } from './replay-memory.ts';

/** Media type of an encapsulated request (RFC 9458 section 9.2). */
export const REQUEST_TYPE = 'message/ohttp-req';
/** Media type of an encapsulated response (RFC 9458 section 9.3). */
export const RESPONSE_TYPE = 'message/ohttp-res';
/** How far an inner Date may be from the gateway's clock (RFC 9458 section 6.5.2), milliseconds. */
export const DATE_WINDOW: number = 5 * 60_000;

/** 32 MiB of content, its fields, and padding. */
const MAX_REQUEST_BYTES = 38 * 1024 * 1024;

/** What the application may know of the encapsulation that a request came in. */
export interface EncapsulationContext {
  /** SHA-256(enc): recorded, unique, in the same transaction as the effect of the request. */
  readonly encapsulation: Bytes;
  /** SHA-256(enc ‖ key_config): what a caller's signature names. */
  readonly binding: Bytes;
}

/** The server half of the channel: encapsulated requests in, encapsulated responses out. */
export interface Gateway {
  handle(request: Request): Promise<Response>;
}

/** What a gateway needs. */
export interface GatewayOptions {
  /** The keys of now: those of the runtime data, and older ones until nobody uses them. */
  readonly keys: () => readonly ChannelKeys[];
  readonly now: () => Date;
  /** In memory unless given. */
  readonly replay?: ReplayMemory;
  /** The application: the same object that would serve plain requests. */
  readonly fetch: (request: Request, context: EncapsulationContext) => Promise<Response> | Response;
  /** Told about errors that the application threw: the answer inside is a bare 500. */
  readonly onError?: (error: unknown) => void;
  readonly maxRequestBytes?: number;
}

/**
 * Makes a gateway (RFC 9458 section 5). What cannot be opened is answered outside, always with the same
 * 400 `#ohttp-key`; whatever was opened is answered 200 outside, and the real status is inside.
 */
export function createGateway(options: GatewayOptions): Gateway {
  const { keys, now, onError, maxRequestBytes = MAX_REQUEST_BYTES } = options;
  const replay = options.replay ?? createReplayMemory({ now });

  async function answer(message: BinaryRequest, opened: OpenedRequest): Promise<Response> {
    const date = parseDate(message);
    if (date === undefined || Math.abs(now().getTime() - date) > DATE_WINDOW)
      return problemResponse(400, DATE_PROBLEM, 'Date is missing or too far off');
    const { primitives } = opened.hpke;
    const { enc, keys: used } = opened;
    const [encapsulation, binding] = await Promise.all([
      primitives.sha256(enc),
      primitives.sha256(concatBytes(enc, used.config.bytes)),
    ]);
    const request = toRequest(message);
    // Up to the moment at which its Date is refused.
    if (!(await replay.remember(encapsulation, new Date(date + DATE_WINDOW))))
      return problemResponse(409, 'urn:cloister:replayed', 'This encapsulation came before');
    try {
      return await options.fetch(request, { encapsulation, binding });
    } catch (error) {
      onError?.(error);
      return problemResponse(500, 'urn:cloister:internal', 'Internal error');
    }
  }

  async function answerOpened(opened: OpenedRequest): Promise<Response> {
    let response: Response;
    try {
      response = await answer(decodeRequest(opened.binaryRequest), opened);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      response = problemResponse(400, 'urn:cloister:malformed_request', 'Malformed inner request');
    }
    const plaintext = await encodeResponse(response, now());
    const { hpke, context, enc } = opened;
    const nonce = (await hpke.primitives.generateSecret()).slice(0, responseNonceSize(hpke));
    const body = await sealResponse(hpke, context, enc, nonce, [plaintext]);
    return new Response(concatBytes(...body), {
      headers: { 'content-type': RESPONSE_TYPE, 'cache-control': 'no-store' },
    });
  }

  async function encodeResponse(response: Response, date: Date): Promise<Bytes> {
    try {
      const fields = fieldsOf(response.headers).filter(([name]) => name !== 'date');
      fields.push(['date', date.toUTCString()]);
      return encodeMessage(await responseMessage(response, fields), paddedLength);
    } catch (error) {
      // The application's body broke off, or its response cannot be written down.
      onError?.(error);
      const fallback = problemResponse(500, 'urn:cloister:internal', 'Internal error');
      const fields = [...fieldsOf(fallback.headers), ['date', date.toUTCString()] as const];
      return encodeMessage(await responseMessage(fallback, fields), paddedLength);
    }
  }

  return {
    async handle(request) {
      if (request.method !== 'POST')
        return problemResponse(405, 'urn:cloister:method_not_allowed', 'Only POST');
      if (mediaTypeOf(request) !== REQUEST_TYPE)
        return problemResponse(415, 'urn:cloister:unsupported_media_type', `Only ${REQUEST_TYPE}`);
      const body = await readBody(request, maxRequestBytes);
      if (body === undefined)
        return problemResponse(413, 'urn:cloister:too_large', 'Request too large');
      const opened = await openRequest(body, keys());
      if (opened === undefined)
        return problemResponse(400, KEY_PROBLEM, 'The request cannot be opened with a current key');
      return answerOpened(opened);
    },
  };
}

function decodeRequest(bytes: Bytes): BinaryRequest {
  const { message } = decodeMessage(bytes);
  if (message.kind !== 'request') throw new MalformedError('bad_value', 'inner request');
  return message;
}

/** The time of the only Date field, in the one form that fetch code writes (RFC 9110 section 5.6.7). */
function parseDate({ headers }: BinaryRequest): number | undefined {
  const [date, ...others] = headers.filter(([name]) => name === 'date');
  if (date === undefined || others.length > 0) return undefined;
  const time = Date.parse(date[1]);
  return new Date(time).toString() !== 'Invalid Date' && new Date(time).toUTCString() === date[1]
    ? time
    : undefined;
}

/** The media type of a message without its parameters, lower case. */
export function mediaTypeOf({ headers }: Request | Response): string {
  return (headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
