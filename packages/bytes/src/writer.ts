import type { Bytes } from './bytes.ts';

/** Builds a byte string; grows as it is written to. Numbers out of range throw RangeError. */
export class Writer {
  #bytes: Bytes = new Uint8Array(256);
  #length = 0;

  u8(value: number): this {
    return this.#put(1, value, (view, at) => view.setUint8(at, value));
  }

  u16le(value: number): this {
    return this.#put(2, value, (view, at) => view.setUint16(at, value, true));
  }

  u16be(value: number): this {
    return this.#put(2, value, (view, at) => view.setUint16(at, value));
  }

  u32le(value: number): this {
    return this.#put(4, value, (view, at) => view.setUint32(at, value, true));
  }

  u32be(value: number): this {
    return this.#put(4, value, (view, at) => view.setUint32(at, value));
  }

  u64le(value: bigint): this {
    return this.#put(8, value, (view, at) => view.setBigUint64(at, value, true));
  }

  bytes(part: Uint8Array): this {
    const at = this.#grow(part.length);
    this.#bytes.set(part, at);
    return this;
  }

  /** What was written, as a copy. */
  finish(): Bytes {
    return this.#bytes.slice(0, this.#length);
  }

  #put(size: number, value: number | bigint, set: (view: DataView, at: number) => void): this {
    if (typeof value === 'number' && !Number.isInteger(value))
      throw new RangeError('not an integer');
    if (value < 0 || BigInt(value) >> BigInt(8 * size) !== 0n) throw new RangeError('out of range');
    const at = this.#grow(size);
    set(new DataView(this.#bytes.buffer), at);
    return this;
  }

  #grow(by: number): number {
    const at = this.#length;
    this.#length += by;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return at;
  }
}
