import { type Bytes, MalformedError } from '@cloister/bytes';
import { streamedBody, streamFrom } from '../wire/byte-stream.ts';
import { HeldRequest, HeldResponse } from '../wire/held-message.ts';
import { StreamedResponse } from '../wire/streamed-response.ts';
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
const WHERE = 'inner request';

/** A request of binary HTTP before its content. */
export type RequestHead = Omit<BinaryRequest, 'content' | 'trailers'>;

/** A response of binary HTTP before its content. */
export type ResponseHead = Omit<BinaryResponse, 'content' | 'trailers'>;

/** The path and query of a request, as its signature and its binary form hold it. */
export function pathOf(request: Request): string {
  const { pathname, search } = new URL(request.url);
  return pathname + search;
}

/** The binary form of a fetch request, for `authority` instead of the origin of its URL. */
export function requestHead(
  request: Request,
  authority: string,
  headers: readonly Field[],
): RequestHead {
  return {
    kind: 'request',
    method: request.method,
    scheme: 'https',
    authority,
    path: pathOf(request),
    headers,
  };
}

/** The field lines of fetch headers, without those about a connection. */
export function fieldsOf(headers: Headers): Field[] {
  return [...headers].filter(([name]) => !CONNECTION_FIELDS.has(name));
}

/** The fields of fetch headers with this Date in the place of theirs. */
export function datedFields(headers: Headers, date: Date): Field[] {
  const fields = fieldsOf(headers).filter(([name]) => name !== 'date');
  fields.push(['date', date.toUTCString()]);
  return fields;
}

/**
 * The fetch request of a binary one. MalformedError where the path or authority would not come out of
 * a URL as it went in: what is signed and what the application sees must be the same text.
 */
export function toRequest(head: RequestHead, content: Bytes, signal?: AbortSignal): Request {
  const { url, init } = fetchParts(head, signal);
  const announced = announcedLength(head.headers);
  if (announced !== undefined && announced !== content.length)
    throw new MalformedError('bad_value', WHERE);
  if (BODILESS_METHODS.has(head.method)) {
    if (content.length > 0) throw new MalformedError('trailing_bytes', WHERE);
    return makeRequest(() => new Request(url, init));
  }
  // Applications measure by it: without, they would wrap the body to count it.
  if (announced === undefined) init.headers.push(['content-length', String(content.length)]);
  return makeRequest(() => new HeldRequest(url, init, content));
}

/** As `toRequest` for content that is still on its way: its end is an error where the message's is. */
export function toStreamedRequest(
  head: RequestHead,
  content: AsyncGenerator<Bytes, unknown, void>,
  signal?: AbortSignal,
): Request {
  const { url, init } = fetchParts(head, signal);
  if (BODILESS_METHODS.has(head.method)) throw new MalformedError('trailing_bytes', WHERE);
  return makeRequest(() => new Request(url, { ...init, ...streamedBody(streamFrom(content)) }));
}

/** The length that a message states for its content (RFC 9110 section 8.6). */
export function announcedLength(headers: readonly Field[]): number | undefined {
  const [announced, ...others] = headers.filter(([name]) => name === 'content-length');
  if (announced === undefined) return undefined;
  if (others.length > 0 || !/^\d{1,15}$/.test(announced[1]))
    throw new MalformedError('bad_value', WHERE);
  return Number(announced[1]);
}

interface FetchParts {
  readonly url: string;
  readonly init: { method: string; headers: [string, string][]; signal?: AbortSignal };
}

function fetchParts(
  { method, scheme, authority, path, headers }: RequestHead,
  signal: AbortSignal | undefined,
): FetchParts {
  if (scheme !== 'https' || !path.startsWith('/')) throw new MalformedError('bad_value', WHERE);
  const url = `https://${authority}${path}`;
  const parsed = URL.parse(url);
  if (parsed === null || parsed.host !== authority || parsed.pathname + parsed.search !== path)
    throw new MalformedError('bad_value', WHERE);
  if (headers.some(([name]) => CONNECTION_FIELDS.has(name)))
    throw new MalformedError('bad_value', WHERE);
  const init = { method, headers: linesOf(headers), ...(signal === undefined ? {} : { signal }) };
  return { url, init };
}

function makeRequest(make: () => Request): Request {
  try {
    return make();
  } catch (cause) {
    // fetch refuses methods such as CONNECT and TRACE.
    throw new MalformedError('bad_value', WHERE, { cause });
  }
}

/** The binary form of a fetch response, before its content. */
export function responseHead({ status }: Response, headers: readonly Field[]): ResponseHead {
  return { kind: 'response', informational: [], status, headers };
}

/** The fetch response of a binary one. */
export function toResponse({ status, headers, content }: BinaryResponse): Response {
  const init = { status, headers: linesOf(headers) };
  return BODILESS_STATUSES.has(status)
    ? new Response(null, init)
    : new HeldResponse([content], init);
}

/** The fetch response of a binary one whose content is still on its way. */
export function toStreamedResponse(
  { status, headers }: Pick<ResponseHead, 'status' | 'headers'>,
  body: ReadableStream<Bytes>,
): Response {
  const init = { status, headers: linesOf(headers) };
  return BODILESS_STATUSES.has(status)
    ? new Response(null, init)
    : new StreamedResponse(body, init);
}

/** As fetch takes them, which copies even its own Headers. */
function linesOf(fields: readonly Field[]): [string, string][] {
  return fields.map(([name, value]) => [name, value]);
}
