import { MalformedError, type Bytes } from '@cloister/bytes';

const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
  163, 195, 227, 258,
];
const LENGTH_EXTRA = [
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
  3073, 4097, 6145, 8193, 12289, 16385, 24577,
];
const DISTANCE_EXTRA = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
];
const CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const MAX_BITS = 15;

/** A canonical Huffman code: symbols in order of their code words, and how many have each length. */
interface Huffman {
  readonly counts: Uint16Array;
  readonly symbols: Uint16Array;
}

/**
 * Decompresses raw DEFLATE (RFC 1951). Output beyond `limit` bytes throws `too_large` before it is
 * made: a small file cannot fill the memory. Bytes after the last block are ignored.
 */
export function inflate(input: Uint8Array, limit: number): Bytes {
  return new Inflate(input, limit).run();
}

class Inflate {
  readonly #input: Uint8Array;
  readonly #limit: number;
  #out: Bytes;
  #length = 0;
  #at = 0;
  #bits = 0;
  #bitCount = 0;

  constructor(input: Uint8Array, limit: number) {
    this.#input = input;
    this.#limit = limit;
    this.#out = new Uint8Array(Math.min(limit, Math.max(1024, 4 * input.length)));
  }

  run(): Bytes {
    for (let last = 0; last === 0; ) {
      last = this.#take(1);
      const type = this.#take(2);
      if (type === 0) this.#stored();
      else if (type === 1) this.#block(FIXED_LITERALS, FIXED_DISTANCES);
      else if (type === 2) this.#block(...this.#tables());
      else this.#fail();
    }
    return this.#out.slice(0, this.#length);
  }

  #stored(): void {
    this.#bits = 0;
    this.#bitCount = 0;
    const [a = 0, b = 0, c = 0, d = 0] = this.#input.subarray(this.#at, this.#at + 4);
    const length = a | (b << 8);
    if (this.#at + 4 + length > this.#input.length || length !== (~(c | (d << 8)) & 0xffff)) {
      this.#fail();
    }
    this.#at += 4;
    this.#reserve(length);
    this.#out.set(this.#input.subarray(this.#at, this.#at + length), this.#length);
    this.#at += length;
    this.#length += length;
  }

  #tables(): [Huffman, Huffman] {
    const literals = this.#take(5) + 257;
    const distances = this.#take(5) + 1;
    const codes = this.#take(4) + 4;
    if (literals > 286 || distances > 30) this.#fail();
    const lengths = new Uint8Array(19);
    for (let i = 0; i < codes; i++) lengths[CODE_ORDER[i] ?? 0] = this.#take(3);
    const code = huffman(lengths, () => this.#fail());
    const all = new Uint8Array(literals + distances);
    for (let i = 0; i < all.length; ) {
      const symbol = this.#symbol(code);
      if (symbol < 16) {
        all[i++] = symbol;
        continue;
      }
      const repeated = symbol === 16 ? (i > 0 ? (all[i - 1] ?? 0) : this.#fail()) : 0;
      const count =
        symbol === 16 ? 3 + this.#take(2) : symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7);
      if (i + count > all.length) this.#fail();
      all.fill(repeated, i, i + count);
      i += count;
    }
    return [
      huffman(all.subarray(0, literals), () => this.#fail()),
      huffman(all.subarray(literals), () => this.#fail()),
    ];
  }

  #block(literals: Huffman, distances: Huffman): void {
    for (;;) {
      const symbol = this.#symbol(literals);
      if (symbol === 256) return;
      if (symbol < 256) {
        this.#reserve(1);
        this.#out[this.#length++] = symbol;
        continue;
      }
      const length = this.#extended(symbol - 257, LENGTH_BASE, LENGTH_EXTRA);
      const distance = this.#extended(this.#symbol(distances), DISTANCE_BASE, DISTANCE_EXTRA);
      if (distance > this.#length) this.#fail();
      this.#reserve(length);
      for (let i = 0; i < length; i++) {
        this.#out[this.#length] = this.#out[this.#length - distance] ?? 0;
        this.#length++;
      }
    }
  }

  #extended(index: number, base: readonly number[], extra: readonly number[]): number {
    const start = base[index];
    return start === undefined ? this.#fail() : start + this.#take(extra[index] ?? 0);
  }

  #symbol({ counts, symbols }: Huffman): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= MAX_BITS; length++) {
      code |= this.#take(1);
      const count = counts[length] ?? 0;
      if (code - count < first) return symbols[index + (code - first)] ?? 0;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    return this.#fail();
  }

  #take(count: number): number {
    while (this.#bitCount < count) {
      const byte = this.#input[this.#at++] ?? this.#fail();
      this.#bits |= byte << this.#bitCount;
      this.#bitCount += 8;
    }
    const value = this.#bits & ((1 << count) - 1);
    this.#bits >>>= count;
    this.#bitCount -= count;
    return value;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#out.length) return;
    if (needed > this.#limit) throw new MalformedError('too_large', 'deflated data');
    const larger = new Uint8Array(Math.min(this.#limit, Math.max(needed, 2 * this.#out.length)));
    larger.set(this.#out);
    this.#out = larger;
  }

  #fail(): never {
    throw new MalformedError('bad_value', `deflated data at byte ${this.#at}`);
  }
}

function huffman(lengths: Uint8Array, refuse: () => never): Huffman {
  const counts = new Uint16Array(MAX_BITS + 1);
  for (const length of lengths) counts[length] = (counts[length] ?? 0) + 1;
  counts[0] = 0;
  let left = 1;
  for (let length = 1; length <= MAX_BITS; length++) {
    left = 2 * left - (counts[length] ?? 0);
    if (left < 0) refuse();
  }
  const offsets = new Uint16Array(MAX_BITS + 2);
  for (let length = 1; length <= MAX_BITS; length++) {
    offsets[length + 1] = (offsets[length] ?? 0) + (counts[length] ?? 0);
  }
  const symbols = new Uint16Array(lengths.length);
  for (const [symbol, length] of lengths.entries()) {
    if (length === 0) continue;
    const at = offsets[length] ?? 0;
    symbols[at] = symbol;
    offsets[length] = at + 1;
  }
  return { counts, symbols };
}

const never = (): never => {
  throw new MalformedError('bad_value', 'deflated data');
};
const FIXED_LITERALS = huffman(
  Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)),
  never,
);
const FIXED_DISTANCES = huffman(new Uint8Array(30).fill(5), never);
