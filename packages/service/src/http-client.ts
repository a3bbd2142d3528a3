import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { asBytes, concatBytes, type Bytes } from '@cloister/bytes';
import type { Fetch, WireAnswer, WireCall, WireTransport } from '@cloister/channel';
import { errorCode } from './log.ts';
import { UnavailableError } from './unavailable-error.ts';

export type { Fetch };

/** How the client behaves. */
export interface HttpClientOptions {
  /** Origins that may be asked; all where absent. */
  readonly origins?: readonly string[];
  /**
   * From the first byte sent to the last received; 60 s unless told (long polls take 25). For what is
   * sent or received as it comes: as long as nothing moves.
   */
  readonly timeoutMs?: number;
  /** How large an answer may be; 64 MiB unless told. */
  readonly maxBytes?: number;
  /** How many connections to one origin are kept open; 32 unless told. */
  readonly connections?: number;
  /**
   * TLS 1.2 as well: for servers of others whose documents are signed, such as the collateral
   * services of Intel and AMD. TLS 1.3 alone unless told.
   */
  readonly allowTls12?: boolean;
}

/** A client whose connections can be closed. */
export interface HttpClient extends WireTransport {
  /** Closes the connections that are kept open. */
  close(): void;
}

/** Statuses that have no body: `Response` refuses even an empty one (Fetch, section 2.2.3). */
const NULL_BODY = new Set([101, 103, 204, 205, 304]);

/**
 * HTTP by `node:http` with connections kept open. Node's own `fetch` loads WebAssembly, which code
 * that may run in an SGX enclave avoids (design 5). Redirects are answers like others: a verified
 * address is never left. Throws UnavailableError when no answer comes.
 */
export function createHttpClient(options: HttpClientOptions = {}): HttpClient {
  const { origins, timeoutMs = 60_000, maxBytes = 64 << 20, connections = 32 } = options;
  const pool = { keepAlive: true, maxFreeSockets: connections, scheduling: 'lifo' } as const;
  const http = new HttpAgent(pool);
  const https = new HttpsAgent({
    ...pool,
    minVersion: options.allowTls12 === true ? 'TLSv1.2' : 'TLSv1.3',
  });
  let closed = false;
  const isClosed = (): boolean => closed;
  const open = (address: string): Opened => {
    const url = new URL(address);
    if (origins !== undefined && !origins.includes(url.origin))
      throw new UnavailableError('host_not_allowed', 'http request');
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw new UnavailableError('host_not_allowed', 'http request: scheme');
    return url.protocol === 'https:'
      ? { url, send: httpsRequest, agent: https }
      : { url, send: httpRequest, agent: http };
  };
  const call = async (request: Request): Promise<Response> => {
    const opened = open(request.url);
    const body = request.body === null ? [] : [asBytes(await request.bytes())];
    const deadline = AbortSignal.timeout(timeoutMs);
    const sending: Sending = {
      ...opened,
      method: request.method,
      headers: Object.fromEntries(request.headers),
      body,
      caller: request.signal,
      signal: AbortSignal.any([request.signal, deadline]),
    };
    return again(sending, isClosed, async () => {
      const incoming = await start(sending);
      return response(incoming, await readAll(incoming, maxBytes, sending));
    });
  };
  const exchange = async ({ url, headers, body, signal }: WireCall): Promise<WireAnswer> => {
    // What is sent and received as it comes may take its time, as long as something moves.
    const streamed = 'incremental' in headers;
    const sending: Sending = {
      ...open(url),
      method: 'POST',
      headers,
      body,
      caller: signal,
      signal: streamed ? signal : AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    };
    return again(sending, isClosed, async () => {
      const incoming = await start(sending, streamed ? timeoutMs : undefined);
      return {
        status: incoming.statusCode ?? 0,
        headers: headersOf(incoming),
        body: readPieces(incoming, sending),
        owned: true,
        cancel: () => void incoming.destroy(),
      };
    });
  };
  const close = (): void => {
    closed = true;
    http.destroy();
    https.destroy();
  };
  return Object.assign(call, { exchange, close });
}

class StaleConnectionError extends Error {
  override readonly name = 'StaleConnectionError';
}

interface Opened {
  readonly url: URL;
  readonly send: typeof httpRequest;
  readonly agent: HttpAgent;
}

interface Sending extends Opened {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: WireCall['body'];
  /** The caller's own; `signal` may end earlier. */
  readonly caller: AbortSignal;
  readonly signal: AbortSignal;
}

/**
 * Once more, where the server closed a kept connection just as it was used: perhaps it has read
 * nothing of the request, perhaps all of it. What was sent as it came is gone.
 */
async function again<T>(
  sending: Sending,
  isClosed: () => boolean,
  once: () => Promise<T>,
): Promise<T> {
  try {
    return await once();
  } catch (error) {
    if (!(error instanceof StaleConnectionError)) throw error;
    // Who has closed the client asks nobody any more: what waited for an answer ends as well.
    if (!isClosed() && isAtHand(sending.body) && mayComeTwice(sending)) return once();
    throw new UnavailableError('unreachable', 'http request', { cause: error });
  }
}

/** Methods by which a second copy does nothing more (RFC 9110, section 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);
/** Questions that are put by POST (design 3.7, 3.1; spec/key-broker.md 5.2): they change nothing. */
const QUESTION = /\/(?:attestation\/evidence|attest\/[^/]+|v1\/witness)$/;

/**
 * Whether the same bytes may reach a server twice. Encapsulated ones may: a second copy is refused
 * (`replayed`), and the client inside the channel finds out what the first one did.
 */
function mayComeTwice({ method, headers, url }: Sending): boolean {
  if (IDEMPOTENT.has(method) || QUESTION.test(url.pathname)) return true;
  return /^message\/ohttp-(?:chunked-)?req$/i.test(headers['content-type'] ?? '');
}

/** Sends a request; the answer's head, as soon as it is there. */
function start(sending: Sending, idleMs?: number): Promise<IncomingMessage> {
  const { url, send, agent, method, signal, body } = sending;
  return new Promise((resolve, reject) => {
    const headers: Record<string, string | number> = { ...sending.headers };
    if (isAtHand(body) && (body.length > 0 || method !== 'GET'))
      headers['content-length'] = body.reduce((sum, { length }) => sum + length, 0);
    const outgoing = send(url, { method, headers, agent, signal });
    outgoing.on('error', (error) => {
      reject(failure(error, sending, outgoing.reusedSocket));
    });
    outgoing.on('response', resolve);
    if (idleMs !== undefined)
      outgoing.setTimeout(idleMs, () => {
        outgoing.destroy(new UnavailableError('timeout', 'http request'));
      });
    if (isAtHand(body)) {
      outgoing.cork();
      for (const piece of body) if (piece.length > 0) outgoing.write(piece);
      outgoing.end();
      outgoing.uncork();
    }
    // An answer may come before all was sent: then it counts, and not how the sending ended.
    else
      pipeline(body, outgoing).catch((error: unknown) => {
        reject(failure(error, sending, false));
      });
  });
}

function isAtHand(body: WireCall['body']): body is readonly Bytes[] {
  return Array.isArray(body);
}

function failure(error: unknown, { caller, signal }: Sending, reused: boolean): Error {
  if (error instanceof UnavailableError) return error;
  if (caller.aborted) return new DOMException('aborted by the caller', 'AbortError');
  if (signal.aborted) return new UnavailableError('timeout', 'http request', { cause: error });
  if (reused && ['ECONNRESET', 'EPIPE'].includes(errorCode(error)))
    return new StaleConnectionError('connection closed', { cause: error });
  return new UnavailableError('unreachable', 'http request', { cause: error });
}

async function* readPieces(
  incoming: IncomingMessage,
  sending: Sending,
): AsyncGenerator<Bytes, void, void> {
  try {
    for await (const chunk of incoming) {
      if (!(chunk instanceof Uint8Array)) throw new UnavailableError('bad_answer', 'http body');
      yield asBytes(chunk);
    }
  } catch (error) {
    throw failure(error, sending, false);
  }
  if (!incoming.complete) throw new UnavailableError('unreachable', 'http answer cut short');
}

async function readAll(
  incoming: IncomingMessage,
  maxBytes: number,
  sending: Sending,
): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of readPieces(incoming, sending)) {
    size += chunk.length;
    if (size > maxBytes) throw new UnavailableError('too_large', 'http answer');
    chunks.push(chunk);
  }
  return concatBytes(...chunks);
}

function response(incoming: IncomingMessage, bytes: Bytes): Response {
  const { statusCode: status = 0 } = incoming;
  const headers = headersOf(incoming);
  return new Response(NULL_BODY.has(status) ? null : bytes, { status, headers });
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    headers.append(rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '');
  return headers;
}
