import type { Duplex } from 'node:stream';

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

  /** Writes; what does not fit waits in memory, and no more should be written. */
  write(bytes: Buffer): void {
    if (!this.#stream.write(bytes) && this.#fullSince === 0) this.#fullSince = this.#now();
  }
}
