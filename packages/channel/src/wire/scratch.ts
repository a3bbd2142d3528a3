import type { Bytes } from '@cloister/bytes';
import { joinPieces, lengthOf } from './byte-stream.ts';

/** Larger memory than this is not kept. */
const KEPT = 8 * 1024 * 1024;

/**
 * Memory for bytes that are put together, read once and thrown away: new memory costs more than
 * filling it. Whoever comes while it is in use gets new memory.
 */
export class Scratch {
  #free: Bytes = new Uint8Array();

  /** Does something with the pieces as one. What `step` keeps of them, it must copy. */
  async with<T>(pieces: readonly Bytes[], step: (whole: Bytes) => Promise<T>): Promise<T> {
    const length = lengthOf(pieces);
    if (pieces.length === 1 || length > KEPT) return step(joinPieces(pieces));
    const memory =
      this.#free.length >= length
        ? this.#free
        : new Uint8Array(2 ** Math.ceil(Math.log2(length + 1)));
    this.#free = new Uint8Array();
    let at = 0;
    for (const piece of pieces) {
      memory.set(piece, at);
      at += piece.length;
    }
    try {
      return await step(memory.subarray(0, length));
    } finally {
      if (memory.length > this.#free.length) this.#free = memory;
    }
  }
}
