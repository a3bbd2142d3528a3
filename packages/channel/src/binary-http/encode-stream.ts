import type { Bytes } from '@cloister/bytes';
import { encodeHead, type MessageHead } from './encode-message.ts';
import { encodeVarint } from './varint.ts';

/** No more content, and no trailers (RFC 9292 section 3.2). */
const END: Bytes = Uint8Array.of(0, 0);
const ZEROS: Bytes = new Uint8Array(16_384);

/**
 * The indeterminate-length form of a message (RFC 9292 section 3.2) as its content comes, without
 * trailers. At the end it is padded to what `padTo` makes of its length.
 */
export async function* encodeStream(
  head: MessageHead,
  content: AsyncIterable<Bytes>,
  padTo: (length: number) => number,
): AsyncGenerator<Bytes, void, void> {
  const start = encodeHead(head);
  let length = start.length;
  yield start;
  for await (const piece of content) {
    if (piece.length === 0) continue;
    const size = encodeVarint(piece.length);
    length += size.length + piece.length;
    yield size;
    yield piece;
  }
  length += END.length;
  yield END;
  for (let left = padTo(length) - length; left > 0; left -= ZEROS.length)
    yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
}
