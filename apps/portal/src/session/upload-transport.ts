import type { Fetch } from '@cloister/channel';

/** How far a request has come: encrypted bytes handed to the network, of how many. */
export interface SentBytes {
  readonly sent: number;
  readonly total: number;
}

/** How long the platform may take once it has everything. */
const ANSWER_MS = 120_000;

/**
 * A transport that says how far it has come: browsers tell that of XMLHttpRequest only, and stream no
 * request bodies over HTTP/1.1. Otherwise like fetch: no credentials, no redirects, an abort ends it.
 * What it counts are the bytes of the encapsulated message that the browser has handed to the network.
 */
export function uploadTransport(
  onProgress: (progress: SentBytes) => void,
  create: () => XMLHttpRequest = () => new XMLHttpRequest(),
): Fetch {
  return async (request) => {
    const body = await request.arrayBuffer();
    request.signal.throwIfAborted();
    return send(create(), request, body, onProgress);
  };
}

function send(
  xhr: XMLHttpRequest,
  request: Request,
  body: ArrayBuffer,
  onProgress: (progress: SentBytes) => void,
): Promise<Response> {
  const { signal } = request;
  const total = body.byteLength;
  const started = performance.now();
  return new Promise<Response>((resolve, reject) => {
    const abort = (): void => xhr.abort();
    const settled = (): void => signal.removeEventListener('abort', abort);
    const fail = (why: string) => (): void => {
      settled();
      reject(new TypeError(why));
    };
    xhr.open(request.method, request.url);
    for (const [name, value] of request.headers) xhr.setRequestHeader(name, value);
    xhr.responseType = 'arraybuffer';
    xhr.upload.addEventListener('progress', ({ loaded }) => {
      // All of it is only said when it is so.
      onProgress({ sent: Math.min(loaded, total - 1), total });
    });
    xhr.upload.addEventListener('load', () => {
      onProgress({ sent: total, total });
      xhr.timeout = Math.ceil(performance.now() - started) + ANSWER_MS;
    });
    xhr.addEventListener('load', () => {
      settled();
      // An answer from elsewhere is nobody's answer; it would not open either.
      if (xhr.responseURL === request.url) resolve(responseOf(xhr));
      else reject(new TypeError('redirected'));
    });
    xhr.addEventListener('error', fail('network error'));
    xhr.addEventListener('timeout', fail('no answer'));
    xhr.addEventListener('abort', () => {
      settled();
      reject(new DOMException('aborted by the caller', 'AbortError'));
    });
    signal.addEventListener('abort', abort);
    onProgress({ sent: 0, total });
    xhr.send(body);
  });
}

function responseOf(xhr: XMLHttpRequest): Response {
  const headers = new Headers();
  for (const line of xhr.getAllResponseHeaders().split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const body: unknown = xhr.response;
  const bytes = body instanceof ArrayBuffer && body.byteLength > 0 ? body : null;
  return new Response(bytes, { status: xhr.status, headers });
}
