import type { Bytes } from '@cloister/bytes';
import { lengthOf } from './byte-stream.ts';
import { release } from './release.ts';

/** Larger memory than this is not kept. */
const KEPT = 8 * 1024 * 1024;

/**
 * Memory for bytes that are put together, read once and thrown away: new memory costs more than
 * filling it. Whoever comes while it is in use gets new memory.
 */
export class Scratch {
  #free: Bytes = new Uint8Array();

  /**
   * Does something with the pieces as one. What `step` keeps of them, it must copy. Pieces that are
   * `owned`, by nobody else, are given back as soon as they were put together.
   */
  async with<T>(
    { pieces, owned }: { readonly pieces: readonly Bytes[]; readonly owned: boolean },
    step: (whole: Bytes) => Promise<T>,
  ): Promise<T> {
    const [first, ...others] = pieces;
    if (first !== undefined && others.length === 0) return step(first);
    const length = lengthOf(pieces);
    const memory = this.#take(length);
    let at = 0;
    for (const piece of pieces) {
      memory.set(piece, at);
      at += piece.length;
    }
    if (owned) release(pieces);
    try {
      return await step(memory.subarray(0, length));
    } finally {
      if (memory.length > this.#free.length && memory.length <= KEPT) this.#free = memory;
    }
  }

  #take(length: number): Bytes {
    if (length > KEPT) return new Uint8Array(length);
    const kept = this.#free;
    this.#free = new Uint8Array();
    return kept.length >= length ? kept : new Uint8Array(2 ** Math.ceil(Math.log2(length + 1)));
  }
}
