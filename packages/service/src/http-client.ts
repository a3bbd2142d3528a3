import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { asBytes, concatBytes, type Bytes } from '@cloister/bytes';
import { errorCode } from './log.ts';
import { UnavailableError } from './unavailable-error.ts';

/** What every library of Cloister that speaks HTTP takes. */
export type Fetch = (request: Request) => Promise<Response>;

/** How the client behaves. */
export interface HttpClientOptions {
  /** Origins that may be asked; all where absent. */
  readonly origins?: readonly string[];
  /** From the first byte sent to the last received; 60 s unless told (long polls take 25). */
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
export interface HttpClient {
  (request: Request): Promise<Response>;
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
  const call = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    if (origins !== undefined && !origins.includes(url.origin))
      throw new UnavailableError('host_not_allowed', 'http request');
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw new UnavailableError('host_not_allowed', 'http request: scheme');
    const body = request.body === null ? undefined : asBytes(await request.bytes());
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const agent = url.protocol === 'https:' ? https : http;
    const deadline = AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)]);
    const once = (): Promise<Response> =>
      exchange(send, url, { agent, request, body, signal: deadline, maxBytes });
    try {
      return await once();
    } catch (error) {
      // The server closed a connection kept open just as we used it: it has read nothing of this
      // request, or, if it has, the channel's replay rule makes the second one harmless.
      if (error instanceof StaleConnectionError) return once();
      throw error;
    }
  };
  const close = (): void => {
    http.destroy();
    https.destroy();
  };
  return Object.assign(call, { close });
}

class StaleConnectionError extends Error {
  override readonly name = 'StaleConnectionError';
}

interface Exchange {
  readonly agent: HttpAgent;
  readonly request: Request;
  readonly body: Bytes | undefined;
  readonly signal: AbortSignal;
  readonly maxBytes: number;
}

function exchange(send: typeof httpRequest, url: URL, x: Exchange): Promise<Response> {
  return new Promise((resolve, reject) => {
    const headers: Record<string, string | number> = Object.fromEntries(x.request.headers);
    if (x.body !== undefined) headers['content-length'] = x.body.length;
    const { method } = x.request;
    const outgoing = send(url, { method, headers, agent: x.agent, signal: x.signal });
    outgoing.on('error', (error) => {
      reject(failure(error, x, outgoing.reusedSocket));
    });
    outgoing.on('response', (incoming) => {
      readAll(incoming, x.maxBytes).then(
        (bytes) => resolve(response(incoming, bytes)),
        (error: unknown) => {
          incoming.destroy();
          reject(error instanceof UnavailableError ? error : failure(error, x, false));
        },
      );
    });
    outgoing.end(x.body);
  });
}

function failure(error: unknown, { request, signal }: Exchange, reused: boolean): Error {
  if (request.signal.aborted) return new DOMException('aborted by the caller', 'AbortError');
  if (signal.aborted) return new UnavailableError('timeout', 'http request', { cause: error });
  if (reused && ['ECONNRESET', 'EPIPE'].includes(errorCode(error)))
    return new StaleConnectionError('connection closed', { cause: error });
  return new UnavailableError('unreachable', 'http request', { cause: error });
}

async function readAll(incoming: IncomingMessage, maxBytes: number): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    if (!(chunk instanceof Uint8Array)) throw new UnavailableError('bad_answer', 'http body');
    size += chunk.length;
    if (size > maxBytes) throw new UnavailableError('too_large', 'http answer');
    chunks.push(chunk);
  }
  if (!incoming.complete) throw new UnavailableError('unreachable', 'http answer cut short');
  return concatBytes(...chunks);
}

function response(incoming: IncomingMessage, bytes: Bytes): Response {
  const headers = new Headers();
  const { rawHeaders, statusCode: status = 0 } = incoming;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    headers.append(rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '');
  return new Response(NULL_BODY.has(status) ? null : bytes, { status, headers });
}
