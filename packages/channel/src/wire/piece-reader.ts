import { type Bytes, copyBytes } from '@cloister/bytes';

/** Reads pieces as if they were one, and copies only what stands in more than one of them. */
export class PieceReader {
  readonly #pieces: readonly Bytes[];
  #index = 0;
  /** In the piece at `#index`. */
  #at = 0;
  #remaining: number;

  constructor(pieces: readonly Bytes[]) {
    this.#pieces = pieces;
    this.#remaining = pieces.reduce((sum, { length }) => sum + length, 0);
  }

  get remaining(): number {
    return this.#remaining;
  }

  /** The next so many bytes, a view where they stand in one piece; undefined where there are fewer. */
  take(length: number): Bytes | undefined {
    if (length > this.#remaining) return undefined;
    this.#skipEmpty();
    const piece = this.#pieces[this.#index];
    if (piece === undefined || piece.length - this.#at >= length) {
      const view = piece?.subarray(this.#at, this.#at + length) ?? new Uint8Array();
      this.#advance(length);
      return view;
    }
    const copy = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      this.#skipEmpty();
      const from = this.#pieces[this.#index]?.subarray(this.#at) ?? new Uint8Array();
      const part = from.subarray(0, length - done);
      copy.set(part, done);
      done += part.length;
      this.#advance(part.length);
    }
    return copy;
  }

  /** As `take`, never a view: it outlives the pieces. */
  copy(length: number): Bytes | undefined {
    const taken = this.take(length);
    return taken === undefined ? undefined : copyBytes(taken);
  }

  /** What is left, in pieces. */
  rest(): readonly Bytes[] {
    const [first, ...others] = this.#pieces.slice(this.#index);
    return first === undefined ? [] : [first.subarray(this.#at), ...others];
  }

  #advance(length: number): void {
    this.#at += length;
    this.#remaining -= length;
  }

  #skipEmpty(): void {
    for (;;) {
      const piece = this.#pieces[this.#index];
      if (piece === undefined || this.#at < piece.length) return;
      this.#index += 1;
      this.#at = 0;
    }
  }
}
