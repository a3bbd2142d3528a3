import { type Bytes, joinPieces } from '@cloister/bytes';
import { readPieces, readPiecesOf } from './byte-stream.ts';

/** Sends one request and gives its response: `fetch`, a service's HTTP client, or a channel. */
export type Fetch = (request: Request) => Promise<Response>;

/** A POST to the gateway, as bytes. */
export interface WireCall {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** In pieces that are at hand, or as it comes. */
  readonly body: readonly Bytes[] | AsyncIterable<Bytes>;
  readonly signal: AbortSignal;
}

/** What came back. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** As it comes; throws where the connection breaks off. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Whether nobody else holds the pieces of the body: then their memory is given back once they were read. */
  readonly owned?: boolean;
  /** Nobody reads the rest; what is waited for ends. */
  cancel(): void;
}

/** A transport that also takes and gives bytes, and makes no fetch objects of them. */
export interface WireTransport {
  (request: Request): Promise<Response>;
  exchange(call: WireCall): Promise<WireAnswer>;
}

/** How a channel sends over this transport: by its own `exchange`, else by fetch objects. */
export function exchangeOver(
  transport: Fetch | WireTransport,
): (call: WireCall) => Promise<WireAnswer> {
  return 'exchange' in transport
    ? (call) => transport.exchange(call)
    : (call) => fetchExchange(transport, call);
}

/**
 * Browsers stream requests over HTTP/2 only, and not all of them do (Fetch section 6.2, `duplex`), so a
 * body that comes in pieces is sent as one.
 */
async function fetchExchange(
  transport: Fetch,
  { url, headers, signal, body }: WireCall,
): Promise<WireAnswer> {
  const pieces = isAtHand(body) ? body : ((await readPieces(body, Infinity)) ?? []);
  const response = await transport(
    new Request(url, {
      method: 'POST',
      headers,
      body: joinPieces(pieces),
      signal,
      redirect: 'error',
      cache: 'no-store',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
    }),
  );
  const reader = response.body?.getReader();
  return {
    status: response.status,
    headers: response.headers,
    body: readPiecesOf(reader),
    cancel: () => void reader?.cancel().catch(() => undefined),
  };
}

/** Whether a body is at hand as a whole. */
export function isAtHand(body: WireCall['body']): body is readonly Bytes[] {
  return Array.isArray(body);
}
