import { type Bytes, concatBytes, encodeUtf8 } from '@cloister/bytes';
import { encodeVarint, varintOf, varintSize } from '../binary-http/varint.ts';
import { lengthOf } from '../wire/byte-stream.ts';
import { release } from '../wire/release.ts';
import type { StreamReader } from '../wire/stream-reader.ts';

/** What every receiver takes in one chunk, before sealing (draft-ietf-ohai-chunked-ohttp-08 section 3). */
export const CHUNK_SIZE = 16_384;
const TAG_SIZE = 16;
/** AAD of the chunk that ends a message (section 6.1 and 6.2 of the draft). */
const FINAL = encodeUtf8('final');
const NO_AAD: Bytes = new Uint8Array();
/** Each chunk costs its receiver the same work, however short: so many may be shorter than this. */
const SHORT = 256;
const MAX_SHORT = 4096;

/** Seals the next chunk, into memory that is the caller's; the AAD says whether it is the last. */
export type ChunkSealer = (pieces: readonly Bytes[], aad: Bytes) => Promise<readonly Bytes[]>;
/** Opens the next chunk; throws where it is not the next one. */
export type ChunkOpener = (sealed: Bytes, aad: Bytes) => Promise<Bytes>;

/** Cuts a stream into chunks of full size; the last may be shorter. */
export async function* groupPieces(
  pieces: AsyncIterable<Bytes>,
): AsyncGenerator<readonly Bytes[], void, void> {
  let group: Bytes[] = [];
  let free = CHUNK_SIZE;
  for await (const piece of pieces) {
    let rest = piece;
    while (rest.length >= free) {
      yield [...group, rest.subarray(0, free)];
      rest = rest.subarray(free);
      group = [];
      free = CHUNK_SIZE;
    }
    if (rest.length === 0) continue;
    group.push(rest);
    free -= rest.length;
  }
  if (group.length > 0) yield group;
}

/**
 * Chunks as they go over the wire: length and sealed bytes. An empty final chunk ends them: it alone
 * proves that the message is complete (section 7.1 of the draft).
 */
export async function* sealChunks(
  groups: AsyncIterable<readonly Bytes[]>,
  seal: ChunkSealer,
): AsyncGenerator<Bytes, void, void> {
  for await (const group of groups) {
    const sealed = await seal(group, NO_AAD);
    yield chunkOf(lengthOf(sealed), sealed);
  }
  yield chunkOf(0, await seal([], FINAL));
}

function chunkOf(length: number, sealed: readonly Bytes[]): Bytes {
  const chunk = concatBytes(encodeVarint(length), ...sealed);
  release(sealed);
  return chunk;
}

/**
 * The plaintext of chunks as they come. It ends normally only behind a final chunk that opened;
 * MalformedError where the stream is cut off or a length is out of bounds, and whatever `open` throws
 * where a chunk is not the next one of this message.
 */
export async function* openChunks(
  reader: StreamReader,
  open: ChunkOpener,
): AsyncGenerator<Bytes, void, void> {
  let short = 0;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- chunk by chunk
    const length = await readLength(reader);
    if (length === 0) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      const last = await open(await reader.rest(CHUNK_SIZE + TAG_SIZE), FINAL);
      if (last.length > 0) yield last;
      return;
    }
    if (length > CHUNK_SIZE + TAG_SIZE) reader.fail('too_large');
    // A chunk that is not the last must hold something (section 6 of the draft).
    if (length <= TAG_SIZE) reader.fail('bad_value');
    if (length < SHORT && ++short > MAX_SHORT) reader.fail('too_large');
    // oxlint-disable-next-line no-await-in-loop -- as above
    yield await open(await reader.bytes(length), NO_AAD);
  }
}

async function readLength(reader: StreamReader): Promise<number> {
  const first = (await reader.bytes(1)).slice();
  const size = varintSize(first[0] ?? 0);
  const others = size === 1 ? undefined : await reader.bytes(size - 1);
  return varintOf(first, others) ?? reader.fail('too_large');
}
