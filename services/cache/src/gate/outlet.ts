import type { Duplex } from 'node:stream';

/** Up to so many bytes, copying costs less than handing pieces to the system one by one. */
const MAX_COPIED = 64 * 1024;

/** The writing side of a stream, and since when its reader does not keep up. */
export class Outlet {
  readonly #stream: Duplex;
  readonly #now: () => number;
  #fullSince = 0;

  /** `drained` is told when the reader has caught up. */
  constructor(stream: Duplex, now: () => number, drained: () => void) {
    this.#stream = stream;
    this.#now = now;
    stream.on('drain', () => {
      this.#fullSince = 0;
      drained();
    });
  }

  get isFull(): boolean {
    return this.#fullSince > 0;
  }

  /** Whether the reader has not kept up for longer than so many milliseconds. */
  isStalled(now: number, forMs: number): boolean {
    return this.#fullSince > 0 && now - this.#fullSince > forMs;
  }

  /** Writes all of them at once: small ones copied together, large ones as they are. */
  writeAll(pieces: readonly Buffer[]): void {
    const [first] = pieces;
    if (first === undefined) return;
    if (pieces.length === 1) this.write(first);
    else if (pieces.reduce((sum, { length }) => sum + length, 0) <= MAX_COPIED)
      this.write(Buffer.concat(pieces));
    else {
      this.#stream.cork();
      for (const piece of pieces) this.write(piece);
      this.#stream.uncork();
    }
  }

  /** Writes; what does not fit waits in memory, and no more should be written. */
  write(bytes: Buffer): void {
    if (!this.#stream.write(bytes) && this.#fullSince === 0) this.#fullSince = this.#now();
  }
}
