import { asBytes, type Bytes, MalformedError } from '@cloister/bytes';
import { joinPieces } from './byte-stream.ts';

const EMPTY: Bytes = new Uint8Array();

/** A forward-only cursor over bytes that come in pieces; it holds no more than it was asked for. */
export class StreamReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #name: string;
  #pieces: Bytes[] = [];
  #length = 0;
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>, name: string) {
    this.#source = source[Symbol.asyncIterator]();
    this.#name = name;
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
    return this.#take(Math.min(most, this.#pieces[0]?.length ?? 0));
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
        this.#pieces.push(asBytes(value));
        this.#length += value.length;
      }
    }
    return this.#length >= length;
  }

  #take(length: number): Bytes {
    this.#length -= length;
    const taken: Bytes[] = [];
    let left = length;
    let whole = 0;
    for (const piece of this.#pieces) {
      if (piece.length > left) break;
      taken.push(piece);
      left -= piece.length;
      whole++;
    }
    this.#pieces.splice(0, whole);
    const [first] = this.#pieces;
    if (left > 0 && first !== undefined) {
      taken.push(first.subarray(0, left));
      this.#pieces[0] = first.subarray(left);
    }
    return joinPieces(taken);
  }
}
