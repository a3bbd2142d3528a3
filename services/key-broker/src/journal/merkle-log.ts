import { createHash } from 'node:crypto';
import { copyBytes, type Bytes } from '@cloister/bytes';

/**
 * The Merkle tree over a log that grows (RFC 9162, section 2.1): every complete subtree is kept,
 * so that a new root or a proof costs a logarithm and not the whole log. Same roots and proofs as
 * `merkleRoot` and its fellows of `@cloister/crypto`, which verify them.
 */
export class MerkleLog {
  /** `#levels[h][i]` is the hash over the leaves from i·2^h to (i+1)·2^h. */
  readonly #levels: Bytes[][] = [[]];

  get size(): number {
    return this.#levels[0]?.length ?? 0;
  }

  /** Adds a leaf. */
  append(leaf: Uint8Array): void {
    let hash = digest(0, leaf);
    for (let height = 0; ; height += 1) {
      const level = (this.#levels[height] ??= []);
      level.push(hash);
      if (level.length % 2 === 1) return;
      hash = digest(1, level[level.length - 2], hash);
    }
  }

  /** The root over the first leaves, over all unless told. RangeError where there are fewer. */
  root(size: number = this.size): Bytes {
    if (!Number.isSafeInteger(size) || size < 0 || size > this.size)
      throw new RangeError('merkle log: no such size');
    return size === 0 ? copyBytes(createHash('sha256').digest()) : this.#hash(0, size);
  }

  /** The inclusion proof of a leaf in the tree over the first `size` (RFC 9162, 2.1.3.1). */
  inclusionProof(index: number, size: number): Bytes[] {
    if (!isIndex(index, size) || size > this.size) throw new RangeError('merkle log: no such leaf');
    const path: Bytes[] = [];
    for (let start = 0, length = size; length > 1; ) {
      const split = splitOf(length);
      if (index < start + split) {
        path.push(this.#hash(start + split, length - split));
        length = split;
      } else {
        path.push(this.#hash(start, split));
        start += split;
        length -= split;
      }
    }
    return path.toReversed();
  }

  /** The proof that the tree of `first` leaves is a prefix of that of `second` (RFC 9162, 2.1.4.1). */
  consistencyProof(first: number, second: number): Bytes[] {
    if (!isIndex(first - 1, second) || second > this.size)
      throw new RangeError('merkle log: no such prefix');
    const path: Bytes[] = [];
    let [start, length, prefix, known] = [0, second, first, true];
    while (prefix < length) {
      const split = splitOf(length);
      if (prefix <= split) {
        path.push(this.#hash(start + split, length - split));
        length = split;
      } else {
        path.push(this.#hash(start, split));
        start += split;
        length -= split;
        prefix -= split;
        known = false;
      }
    }
    if (!known) path.push(this.#hash(start, length));
    return path.toReversed();
  }

  /** The hash over `length` leaves from `start`, where `start` is aligned as in the tree. */
  #hash(start: number, length: number): Bytes {
    const height = Math.log2(length);
    const kept = Number.isInteger(height) ? this.#levels[height]?.[start / length] : undefined;
    if (kept !== undefined) return kept;
    const split = splitOf(length);
    return digest(1, this.#hash(start, split), this.#hash(start + split, length - split));
  }
}

function digest(prefix: 0 | 1, ...parts: readonly (Uint8Array | undefined)[]): Bytes {
  const hash = createHash('sha256').update(Uint8Array.of(prefix));
  for (const part of parts) if (part !== undefined) hash.update(part);
  return copyBytes(hash.digest());
}

/** The largest power of two below `size`, for a size above one. */
function splitOf(size: number): number {
  let split = 1;
  while (2 * split < size) split *= 2;
  return split;
}

function isIndex(index: number, size: number): boolean {
  return Number.isSafeInteger(index) && Number.isSafeInteger(size) && index >= 0 && index < size;
}
