import type { Bytes } from '@cloister/bytes';
import { piecesOf } from './byte-stream.ts';

const LENT = new WeakMap<Request, AsyncIterable<Uint8Array>>();
const OWNED = new WeakSet<Request>();

/**
 * Lets a gateway read the body of a request as it comes off the wire. What a server makes of a body for
 * fetch costs a copy or two and a stream; whoever reads `request` itself gets that as ever. `owned`: the
 * pieces are the gateway's, which gives their memory back once it has read them.
 */
export function lendBody(
  request: Request,
  body: AsyncIterable<Uint8Array>,
  { owned = false }: { readonly owned?: boolean } = {},
): void {
  LENT.set(request, body);
  if (owned) OWNED.add(request);
}

/** The body of a request, as it was lent, else by way of fetch. */
export function wireBodyOf(request: Request): AsyncIterable<Uint8Array> {
  return LENT.get(request) ?? bodyOf(request);
}

/** Whether the pieces of that body are the reader's, to give their memory back. */
export function ownsWireBody(request: Request): boolean {
  return OWNED.has(request);
}

async function* bodyOf(request: Request): AsyncGenerator<Bytes> {
  const announced = Number(request.headers.get('content-length') ?? Number.NaN);
  // HTTP ends a body at its announced length, and servers read it whole much faster than by stream.
  if (announced > 0 && announced <= WHOLE) yield new Uint8Array(await request.arrayBuffer());
  else yield* piecesOf(request.body);
}

/** Above this, a body is not read whole before anybody can say that it is too large. */
const WHOLE = 64 * 1024 * 1024;
