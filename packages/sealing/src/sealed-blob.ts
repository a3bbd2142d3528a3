import { type Bytes, concatBytes, Writer } from '@cloister/bytes';
import { encodeObjectRef, type ObjectRef } from './object-ref.ts';
import { decrypt } from './sealed-object.ts';
import { deriveObjectKey, KEY_LENGTH, type Random, type SealingKey } from './sealing-key.ts';
import { TamperedError } from './tampered-error.ts';

/** How many bytes of plaintext a chunk holds; the last one may hold fewer. */
export const CHUNK_LENGTH: number = 1 << 20;
const TAG_LENGTH = 16;
const MAGIC: Bytes = new Uint8Array([0x43, 0x4c, 0x42, 0x31]); // CLB1

/** What a stream of bytes may come from. */
export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * Seals a stream in chunks of 1 MiB (design 4) without ever holding it whole: magic, salt, then
 * AES-256-GCM chunks whose nonce is their number and whether they are the last one (the STREAM
 * construction), so that none can be dropped, swapped or cut off.
 */
export async function* sealBlob(
  key: SealingKey,
  ref: ObjectRef,
  source: ByteSource,
  random: Random,
): AsyncGenerator<Bytes, void, undefined> {
  const salt = random(KEY_LENGTH);
  const additionalData = encodeObjectRef(ref);
  const objectKey = await deriveObjectKey(key, salt, additionalData);
  yield concatBytes(MAGIC, salt);
  for await (const { index, last, bytes } of chunks(source, CHUNK_LENGTH)) {
    const algorithm = { name: 'AES-GCM', iv: nonce(index, last), additionalData };
    yield new Uint8Array(await crypto.subtle.encrypt(algorithm, objectKey, bytes));
  }
}

/**
 * Opens what `sealBlob` sealed, chunk by chunk; nothing of a chunk is given out before it is
 * authenticated. TamperedError for a changed, swapped, missing or cut-off chunk. Who needs all or
 * nothing collects the chunks before using any.
 */
export async function* openBlob(
  key: SealingKey,
  ref: ObjectRef,
  source: ByteSource,
): AsyncGenerator<Bytes, void, undefined> {
  const additionalData = encodeObjectRef(ref);
  const feed = new Feed(source);
  const start = await feed.take(MAGIC.length + KEY_LENGTH);
  if (start.length < MAGIC.length + KEY_LENGTH)
    throw new TamperedError('blob_truncated', 'blob header');
  if (MAGIC.some((byte, i) => start[i] !== byte))
    throw new TamperedError('not_authentic', 'blob header');
  const objectKey = await deriveObjectKey(key, start.slice(MAGIC.length), additionalData);
  for await (const { index, last, bytes } of chunks(feed.rest(), CHUNK_LENGTH + TAG_LENGTH)) {
    const where = `blob chunk ${index}`;
    if (bytes.length < TAG_LENGTH) throw new TamperedError('blob_truncated', where);
    const algorithm = { name: 'AES-GCM', iv: nonce(index, last), additionalData };
    yield await decrypt(objectKey, algorithm, bytes, where);
  }
}

/** 12 bytes: seven zeros, the number of the chunk, whether it is the last. */
function nonce(index: number, last: boolean): Bytes {
  return new Writer()
    .bytes(new Uint8Array(7))
    .u32be(index)
    .u8(last ? 1 : 0)
    .finish();
}

interface Chunk {
  readonly index: number;
  readonly last: boolean;
  readonly bytes: Bytes;
}

/** Cuts a stream into pieces of `length`; the last may be shorter, and is empty for no bytes. */
async function* chunks(source: ByteSource, length: number): AsyncGenerator<Chunk, void, undefined> {
  const feed = new Feed(source);
  for (let index = 0; ; index++) {
    const bytes = await feed.take(length);
    const last = bytes.length < length || (await feed.atEnd());
    yield { index, last, bytes };
    if (last) return;
  }
}

/** A stream that is read by length. Holds at most one piece of its source and what was asked for. */
class Feed {
  readonly #pieces: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array(0);

  constructor(source: ByteSource) {
    this.#pieces =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  }

  /** Up to `length` bytes: fewer only at the end. */
  async take(length: number): Promise<Bytes> {
    let out = new Uint8Array(0);
    let filled = 0;
    while (filled < length && !(await this.atEnd())) {
      const part = this.#piece.subarray(0, length - filled);
      const end = filled + part.length;
      if (end > out.length) {
        // What is small comes in one piece: a key must not cost the collector of garbage 1 MiB.
        const larger = new Uint8Array(filled === 0 ? end : length);
        larger.set(out);
        out = larger;
      }
      out.set(part, filled);
      filled = end;
      this.#piece = this.#piece.subarray(part.length);
    }
    return filled === out.length ? out : out.slice(0, filled);
  }

  async atEnd(): Promise<boolean> {
    while (this.#piece.length === 0) {
      const next = await this.#pieces.next();
      if (next.done === true) return true;
      this.#piece = next.value;
    }
    return false;
  }

  async *rest(): AsyncGenerator<Uint8Array, void, undefined> {
    while (!(await this.atEnd())) {
      const piece = this.#piece;
      this.#piece = new Uint8Array(0);
      yield piece;
    }
  }
}
