import type { Bytes } from '@cloister/bytes';
import { lengthOf } from './byte-stream.ts';
import { release } from './release.ts';

/** So few pieces are not put together: a message whose content came in one is opened without a copy. */
const FEW = 8;
/** Larger memory than this is not kept. */
const KEPT = 8 * 1024 * 1024;

/**
 * Memory for bytes that are put together, read once and thrown away: new memory costs more than
 * filling it. Whoever comes while it is in use gets new memory.
 */
export class Scratch {
  #free: Bytes = new Uint8Array();

  /**
   * Does something with the pieces: a few as they are, many as one. What `step` keeps of them, it must
   * copy. Pieces that are `owned`, by nobody else, are given back as soon as they are not needed.
   */
  async with<T>(
    { pieces, owned }: { readonly pieces: readonly Bytes[]; readonly owned: boolean },
    step: (few: readonly Bytes[]) => Promise<T>,
  ): Promise<T> {
    if (pieces.length <= FEW) {
      const done = await step(pieces);
      if (owned) release(pieces);
      return done;
    }
    const length = lengthOf(pieces);
    const memory = this.#take(length);
    let at = 0;
    for (const piece of pieces) {
      memory.set(piece, at);
      at += piece.length;
    }
    if (owned) release(pieces);
    try {
      return await step([memory.subarray(0, length)]);
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
