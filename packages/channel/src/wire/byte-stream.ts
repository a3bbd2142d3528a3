import { asBytes, type Bytes } from '@cloister/bytes';

/** The bytes as a buffer of their own, copied only where they share it with others. */
export function bufferOf(bytes: Bytes): ArrayBuffer {
  const { buffer, byteLength } = bytes;
  return byteLength === buffer.byteLength ? buffer : bytes.slice().buffer;
}

/** How long the pieces are together. */
export function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** What makes a stream the body of a request: `duplex` is not yet among what TypeScript knows of fetch. */
export function streamedBody(body: ReadableStream<Bytes>): RequestInit {
  const init = { body, duplex: 'half' };
  return init;
}

/** Pieces that are at hand, as a stream of fetch; nothing is copied. */
export function streamOf(pieces: readonly Bytes[]): ReadableStream<Bytes> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) if (piece.length > 0) controller.enqueue(piece);
      controller.close();
    },
  });
}

/**
 * Pieces as they come, as a stream of fetch: one is asked for when the reader wants one. `onCancel` must
 * end whatever the generator may be waiting for: it can only be ended where it yields.
 */
export function streamFrom(
  pieces: AsyncGenerator<Bytes, unknown, void>,
  onCancel: () => void = () => undefined,
): ReadableStream<Bytes> {
  return new ReadableStream(
    {
      async pull(controller) {
        for (;;) {
          // oxlint-disable-next-line no-await-in-loop -- until a piece has bytes in it
          const { done, value } = await pieces.next();
          if (done === true) return controller.close();
          if (value.length === 0) continue;
          controller.enqueue(value);
          return;
        }
      },
      cancel() {
        onCancel();
        // Not awaited: it waits for the piece that is under way.
        pieces.return(undefined).catch(() => undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

/** A stream of fetch as pieces: not every browser lets one iterate over it. Left early, it is cancelled. */
export function piecesOf(
  stream: ReadableStream<Uint8Array> | null,
): AsyncGenerator<Bytes, void, void> {
  return readPiecesOf(stream?.getReader());
}

/** As `piecesOf`, of a reader that somebody else may cancel. */
export async function* readPiecesOf(
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
): AsyncGenerator<Bytes, void, void> {
  if (reader === undefined) return;
  try {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- a stream is read piece by piece
      const { done, value } = await reader.read();
      if (done) return;
      // Of anything else fetch would fail too; taken for bytes, it would be lost without a word.
      if (!(value instanceof Uint8Array))
        throw new TypeError('a body of something else than bytes');
      yield asBytes(value);
    }
  } finally {
    // Of no effect at its end. Not awaited: a stream may never settle its cancellation.
    reader.cancel().catch(() => undefined);
  }
}

/** First what was read already, then the rest. */
export async function* follow(
  read: readonly Bytes[],
  rest: AsyncGenerator<Bytes, unknown, void>,
): AsyncGenerator<Bytes, void, void> {
  yield* read;
  yield* rest;
}

/** At most `most` bytes more or less, and whether that was all. */
export async function readAhead(
  source: AsyncGenerator<Bytes, unknown, void>,
  most: number,
): Promise<{ readonly pieces: readonly Bytes[]; readonly ended: boolean }> {
  const pieces: Bytes[] = [];
  for (let length = 0; length <= most; ) {
    // oxlint-disable-next-line no-await-in-loop -- piece by piece
    const { done, value } = await source.next();
    if (done === true) return { pieces, ended: true };
    pieces.push(value);
    length += value.length;
  }
  return { pieces, ended: false };
}

/** All pieces, or undefined as soon as they are longer than `limit`: then the source is left. */
export async function readPieces(
  source: AsyncIterable<Uint8Array>,
  limit: number,
): Promise<Bytes[] | undefined> {
  const pieces: Bytes[] = [];
  let length = 0;
  for await (const piece of source) {
    length += piece.length;
    if (length > limit) return undefined;
    pieces.push(asBytes(piece));
  }
  return pieces;
}
