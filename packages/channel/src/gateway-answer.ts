import { type Bytes, concatBytes, MalformedError } from '@cloister/bytes';
import type { RequestHead } from './binary-http/fetch-message.ts';
import { DATE_WINDOW, type GatewayOptions } from './gateway-options.ts';
import type { RequestRecipient } from './ohttp/request-encryption.ts';
import { DATE_PROBLEM, problemResponse } from './problem.ts';
import { createReplayMemory } from './replay-memory.ts';

/**
 * Answers a request that was opened: refuses a wrong Date and a replay, else asks the application.
 * MalformedError where `toRequest` throws it; the application's own errors become a bare 500.
 */
export type Answerer = (asked: {
  readonly head: RequestHead;
  readonly toRequest: () => Request;
  readonly recipient: RequestRecipient;
  /** Whether the request broke while the application read it: then its error is no fault of its own. */
  readonly isBroken?: () => boolean;
}) => Promise<Response>;

/** The part of a gateway that is the same for both encapsulations. */
export function createAnswerer(options: GatewayOptions): Answerer {
  const { now, onError } = options;
  const replay = options.replay ?? createReplayMemory({ now });
  return async ({ head, toRequest, recipient, isBroken }) => {
    const { hpke, enc, keys } = recipient;
    const date = parseDate(head);
    if (date === undefined || Math.abs(now().getTime() - date) > DATE_WINDOW)
      return problemResponse(400, DATE_PROBLEM, 'Date is missing or too far off');
    const { primitives } = hpke;
    const [encapsulation, binding] = await Promise.all([
      primitives.sha256(enc),
      primitives.sha256(concatBytes(enc, keys.config.bytes)),
    ]);
    const request = toRequest();
    // Up to the moment at which its Date is refused.
    if (!(await replay.remember(encapsulation, new Date(date + DATE_WINDOW))))
      return problemResponse(409, 'urn:cloister:replayed', 'This encapsulation came before');
    try {
      return await options.fetch(request, { encapsulation, binding });
    } catch (error) {
      if (isBroken?.() !== true) onError?.(error);
      return internalError();
    }
  };
}

/** The answer inside where the inner message is none. */
export function malformedRequest(): Response {
  return problemResponse(400, 'urn:cloister:malformed_request', 'Malformed inner request');
}

/** The answer inside where the application failed. */
export function internalError(): Response {
  return problemResponse(500, 'urn:cloister:internal', 'Internal error');
}

/** A fresh response nonce (RFC 9458 section 4.4). */
export async function freshNonce({ hpke }: RequestRecipient, size: number): Promise<Bytes> {
  return (await hpke.primitives.generateSecret()).slice(0, size);
}

/** The request among binary messages. */
export function expectRequest<T extends { readonly kind: string }>(
  message: T,
): Extract<T, { kind: 'request' }> {
  if (!isRequest(message)) throw new MalformedError('bad_value', 'inner request');
  return message;
}

function isRequest<T extends { readonly kind: string }>(
  message: T,
): message is Extract<T, { kind: 'request' }> {
  return message.kind === 'request';
}

/** The time of the only Date field, in the one form that fetch code writes (RFC 9110 section 5.6.7). */
function parseDate({ headers }: RequestHead): number | undefined {
  const [date, ...others] = headers.filter(([name]) => name === 'date');
  if (date === undefined || others.length > 0) return undefined;
  const time = Date.parse(date[1]);
  return !Number.isNaN(time) && new Date(time).toUTCString() === date[1] ? time : undefined;
}
