import { asBytes, type Bytes, MalformedError, joinPieces } from '@cloister/bytes';
import { release } from './release.ts';

const EMPTY: Bytes = new Uint8Array();

/** A piece that was not read to its end yet, and the whole of it where it can be given back then. */
interface Piece {
  readonly left: Bytes;
  readonly memory: Bytes | undefined;
}

/**
 * A forward-only cursor over bytes that come in pieces; it holds no more than it was asked for. What it
 * gives is good until it is asked for more where the pieces are `owned`, by nobody else.
 */
export class StreamReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #name: string;
  readonly #owned: boolean;
  #pieces: Piece[] = [];
  #spent: Bytes[] = [];
  #length = 0;
  #ended = false;

  constructor(
    source: AsyncIterable<Uint8Array>,
    name: string,
    { owned = false }: { readonly owned?: boolean } = {},
  ) {
    this.#source = source[Symbol.asyncIterator]();
    this.#name = name;
    this.#owned = owned;
  }

  /** Whether nothing more comes; waits until that is known. */
  async isEnd(): Promise<boolean> {
    return this.#length === 0 && !(await this.#fill(1));
  }

  /** Exactly the next `length` bytes; MalformedError where the source ends before. */
  async bytes(length: number): Promise<Bytes> {
    if (this.#length < length && !(await this.#fill(length))) this.fail('truncated');
    return this.#take(length);
  }

  /** What there is, at least one byte and at most `most`; nothing at the end. */
  async some(most: number): Promise<Bytes> {
    if (await this.isEnd()) return EMPTY;
    return this.#take(Math.min(most, this.#pieces[0]?.left.length ?? 0));
  }

  /** All that comes until the end; MalformedError where it is more than `most` bytes. */
  async rest(most: number): Promise<Bytes> {
    if (await this.#fill(most + 1)) this.fail('too_large');
    return this.#take(this.#length);
  }

  fail(code: 'truncated' | 'too_large' | 'bad_value'): never {
    throw new MalformedError(code, this.#name);
  }

  async #fill(length: number): Promise<boolean> {
    while (this.#length < length && !this.#ended) {
      // oxlint-disable-next-line no-await-in-loop -- piece by piece until there are enough
      const { done, value } = await this.#source.next();
      if (done === true) this.#ended = true;
      else if (value.length > 0) {
        const left = plain(asBytes(value));
        this.#pieces.push({ left, memory: this.#owned ? left : undefined });
        this.#length += value.length;
      }
    }
    return this.#length >= length;
  }

  #take(length: number): Bytes {
    release(this.#spent);
    this.#spent = [];
    this.#length -= length;
    const taken: Bytes[] = [];
    let left = length;
    let whole = 0;
    for (const { left: piece, memory } of this.#pieces) {
      if (piece.length > left) break;
      taken.push(piece);
      if (memory !== undefined) this.#spent.push(memory);
      left -= piece.length;
      whole++;
    }
    this.#pieces.splice(0, whole);
    const [first] = this.#pieces;
    if (left > 0 && first !== undefined) {
      taken.push(first.left.subarray(0, left));
      this.#pieces[0] = { ...first, left: first.left.subarray(left) };
    }
    return joinPieces(taken);
  }
}

/** The same memory as a plain Uint8Array: `slice` of Node's Buffer would not copy. */
function plain({ buffer, byteOffset, byteLength }: Bytes): Bytes {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
