import { asBytes, type Bytes, concatBytes } from '@cloister/bytes';

/** A body read to the end, or undefined as soon as it is longer than `limit`: then it is cancelled. */
export async function readBody(
  source: Request | Response,
  limit: number,
): Promise<Bytes | undefined> {
  const declared = source.headers.get('content-length');
  if (declared !== null && Number(declared) > limit) {
    discardBody(source);
    return undefined;
  }
  // HTTP ends a body at its announced length, and servers read it whole much faster than by stream.
  if (declared !== null && Number(declared) > 0) {
    const body = new Uint8Array(await source.arrayBuffer());
    return body.length > limit ? undefined : body;
  }
  if (source.body === null) return new Uint8Array();
  const reader = source.body.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- a stream is read chunk by chunk
    const { done, value } = await reader.read();
    if (done) return joinChunks(chunks);
    length += value.length;
    if (length > limit) {
      reader.releaseLock();
      discardBody(source);
      return undefined;
    }
    chunks.push(value);
  }
}

function joinChunks(chunks: readonly Uint8Array[]): Bytes {
  const [first, ...others] = chunks;
  // A body that was made from bytes comes in one piece, which nobody else holds.
  return first !== undefined && others.length === 0 ? asBytes(first) : concatBytes(...chunks);
}

/** Stops a body that nobody will read. Not awaited: a stream may never settle its cancellation. */
export function discardBody({ body }: Request | Response): void {
  body?.cancel().catch(() => undefined);
}
