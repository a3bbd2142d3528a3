import { type Bytes, MalformedError } from '@cloister/bytes';
import type { BinaryRequest, BinaryResponse, Field } from './message.ts';

/** Fields about one connection: they mean nothing inside a message (RFC 9110 section 7.6.1). */
const CONNECTION_FIELDS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);
const BODILESS_METHODS = new Set(['GET', 'HEAD']);
const BODILESS_STATUSES = new Set([204, 205, 304]);

/** The path and query of a request, as its signature and its binary form hold it. */
export function pathOf(request: Request): string {
  const { pathname, search } = new URL(request.url);
  return pathname + search;
}

/** The binary form of a fetch request, for `authority` instead of the origin of its URL. */
export function requestMessage(
  request: Request,
  authority: string,
  content: Bytes,
  headers: readonly Field[],
): BinaryRequest {
  return {
    kind: 'request',
    method: request.method,
    scheme: 'https',
    authority,
    path: pathOf(request),
    headers,
    content,
    trailers: [],
  };
}

/** The field lines of fetch headers, without those about a connection. */
export function fieldsOf(headers: Headers): Field[] {
  return [...headers].filter(([name]) => !CONNECTION_FIELDS.has(name));
}

/**
 * The fetch request of a binary one. MalformedError where the path or authority would not come out of
 * a URL as it went in: what is signed and what the application sees must be the same text.
 */
export function toRequest(message: BinaryRequest): Request {
  const { method, scheme, authority, path, headers, content } = message;
  const where = 'inner request';
  if (scheme !== 'https' || !path.startsWith('/')) throw new MalformedError('bad_value', where);
  const url = `https://${authority}${path}`;
  if (!URL.canParse(url)) throw new MalformedError('bad_value', where);
  const parsed = new URL(url);
  if (parsed.host !== authority || parsed.pathname + parsed.search !== path)
    throw new MalformedError('bad_value', where);
  if (message.trailers.length > 0 || headers.some(([name]) => CONNECTION_FIELDS.has(name)))
    throw new MalformedError('bad_value', where);
  if (BODILESS_METHODS.has(method) && content.length > 0)
    throw new MalformedError('trailing_bytes', where);
  try {
    return new Request(url, {
      method,
      headers: toHeaders(headers),
      ...(BODILESS_METHODS.has(method) ? {} : { body: streamOf(content), duplex: 'half' }),
    });
  } catch (cause) {
    // fetch refuses methods such as CONNECT and TRACE.
    throw new MalformedError('bad_value', where, { cause });
  }
}

/** The binary form of a fetch response; its body is read to the end. */
export async function responseMessage(
  response: Response,
  headers: readonly Field[],
): Promise<BinaryResponse> {
  return {
    kind: 'response',
    informational: [],
    status: response.status,
    headers,
    content: new Uint8Array(await response.arrayBuffer()),
    trailers: [],
  };
}

/** The fetch response of a binary one. */
export function toResponse({ status, headers, content }: BinaryResponse): Response {
  const body = BODILESS_STATUSES.has(status) ? null : content;
  return new Response(body, { status, headers: toHeaders(headers) });
}

/** The bytes as a body: fetch would copy them, a stream hands them on. */
function streamOf(content: Bytes): ReadableStream<Bytes> {
  return new ReadableStream({
    start(controller) {
      if (content.length > 0) controller.enqueue(content);
      controller.close();
    },
  });
}

function toHeaders(fields: readonly Field[]): Headers {
  const headers = new Headers();
  for (const [name, value] of fields) headers.append(name, value);
  return headers;
}
