import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { asBytes, type Bytes } from '@cloister/bytes';
import { ConfigError, errorCode, type Serving } from '@cloister/service';
import { azureErrorAnswer, AzureError, JSON_TYPE, type Answer } from './azure-error.ts';
import type { AnswerAttest } from './routes/attest.ts';
import { tooLarge } from './app.ts';
import { canonicalPath } from './paths.ts';
import { ATTEST_KINDS, type AttestKind } from './kinds.ts';
import type { RateLimit } from './rate-limit.ts';

/** What is served, and where. */
export interface ListenOptions {
  readonly app: { fetch(request: Request): Response | Promise<Response> };
  /**
   * Attest requests, without a Request and a Response: making those costs more than verifying a
   * signature. The same answers as the app's.
   */
  readonly attest: AnswerAttest;
  /** The headers of an answer to an attest request from this origin. */
  readonly headers: (origin: string | undefined) => Readonly<Record<string, string>>;
  /** How large a body may be. */
  readonly maxBody: number;
  readonly limits: { readonly attest: RateLimit; readonly others: RateLimit };
  readonly report: (error: unknown) => void;
  /** 0 takes any free port. */
  readonly port: number;
  readonly host: string;
  /** PEM; without it, plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
}

/** How long `close` waits for answers under way. */
const GRACE_MS = 5000;
const TIMEOUTS = { keepAliveTimeout: 65_000, headersTimeout: 20_000, requestTimeout: 120_000 };
const KINDS: ReadonlyMap<string, AttestKind> = new Map(
  ATTEST_KINDS.map((kind) => [`/attest/${kind}`, kind]),
);

/** Serves on HTTP/1.1 or HTTPS. Throws ConfigError when the address cannot be had. */
export async function listen(options: ListenOptions): Promise<Serving> {
  const { port, host, tls } = options;
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void serveOne(request, response, options);
  };
  const server =
    tls === undefined
      ? createHttpServer(TIMEOUTS, handle)
      : createHttpsServer({ ...TIMEOUTS, ...tls, minVersion: 'TLSv1.2' }, handle);
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error): void => {
      reject(new ConfigError(`port: ${errorCode(error)}`, { cause: error }));
    };
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      resolve();
    });
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new ConfigError('port: no address');
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${shown}:${address.port}`,
    close: () =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(() => server.closeAllConnections(), GRACE_MS);
        // Connections that are kept open go one by one, as their answers end.
        const sweep = setInterval(() => server.closeIdleConnections(), 20);
        server.close(() => {
          clearTimeout(timer);
          clearInterval(sweep);
          resolve();
        });
      }),
  };
}

async function serveOne(
  request: IncomingMessage,
  response: ServerResponse,
  options: ListenOptions,
): Promise<void> {
  const { limits, maxBody, headers } = options;
  try {
    const [path = '/', query = ''] = splitTarget(request.url ?? '/');
    const kind = request.method === 'POST' ? KINDS.get(canonicalPath(path)) : undefined;
    const limit = kind === undefined ? limits.others : limits.attest;
    const send = (answer: Answer, more: Readonly<Record<string, string>> = {}): void => {
      const fixed = headers(request.headers.origin);
      response.writeHead(answer.status, {
        ...fixed,
        ...more,
        'content-type': JSON_TYPE,
        'content-length': Buffer.byteLength(answer.body),
      });
      // A token is ASCII, and is written faster as such.
      response.end(answer.body, answer.status === 200 ? 'latin1' : 'utf8');
    };
    if (!limit.take(request.socket.remoteAddress ?? '')) {
      send(azureErrorAnswer(tooMany()), { 'retry-after': '1', connection: 'close' });
      return;
    }
    const body = await readBody(request, maxBody);
    if (body === undefined) {
      send(azureErrorAnswer(tooLarge()), { connection: 'close' });
      return;
    }
    if (kind === undefined) await relay(request, response, body, options);
    else send(await options.attest(kind, apiVersionOf(query), body));
  } catch (error) {
    // Whoever went away needs no answer, and is no failure of ours.
    if (error instanceof ConnectionLost) {
      response.destroy();
      return;
    }
    options.report(error);
    if (response.headersSent) response.destroy();
    else {
      const answer = azureErrorAnswer(new AzureError('InternalServerError', 'Internal error'));
      response.writeHead(answer.status, { 'content-type': JSON_TYPE }).end(answer.body);
    }
  }
}

/** Everything that is not asked thousands of times a second, through the app. */
async function relay(
  request: IncomingMessage,
  response: ServerResponse,
  body: Bytes,
  { app }: ListenOptions,
): Promise<void> {
  const headers = new Headers();
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2)
    headers.append(request.rawHeaders[i] ?? '', request.rawHeaders[i + 1] ?? '');
  const target = URL.parse(request.url ?? '/', 'http://attestation.invalid');
  if (target === null) {
    response.writeHead(400).end();
    return;
  }
  const method = request.method ?? 'GET';
  const answer = await app.fetch(
    new Request(target, {
      method,
      headers,
      ...(method === 'GET' || method === 'HEAD' ? {} : { body }),
    }),
  );
  const content = answer.body === null ? undefined : Buffer.from(await answer.arrayBuffer());
  response.writeHead(answer.status, [...answer.headers].flat());
  response.end(method === 'HEAD' ? undefined : content);
}

/** The body; undefined where it is larger than it may be. */
function readBody(request: IncomingMessage, most: number): Promise<Bytes | undefined> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    request.on('data', (part: Buffer) => {
      length += part.length;
      if (length <= most) parts.push(part);
      // What comes after is read and dropped: the answer says that the connection ends.
      else resolve(undefined);
    });
    request.once('end', () => {
      const [only] = parts;
      resolve(asBytes(parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)));
    });
    request.once('error', reject);
    request.once('close', () => {
      // After the end too, when there is nothing to say any more.
      if (!request.complete) reject(new ConnectionLost());
    });
  });
}

class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
  readonly code = 'connection_lost';
}

/** Of the usual query, which is nothing else; of any other, as URLs are read. */
function apiVersionOf(query: string): string | null {
  const only = /^api-version=([\w.-]+)$/.exec(query)?.[1];
  return only ?? new URLSearchParams(query).get('api-version');
}

function splitTarget(target: string): string[] {
  const mark = target.indexOf('?');
  return mark < 0 ? [target] : [target.slice(0, mark), target.slice(mark + 1)];
}

function tooMany(): AzureError {
  return new AzureError('TooManyRequests', 'Too many requests from this address');
}
