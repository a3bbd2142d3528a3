import { asBytes, type Bytes } from './bytes.ts';
import { MalformedError, type MalformedCode } from './malformed-error.ts';

/** A forward-only cursor over untrusted bytes: every read is checked, `end` refuses leftovers. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #name: string;
  #at = 0;

  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#name = name;
  }

  /** Offset of the next byte. */
  get position(): number {
    return this.#at;
  }

  /** How many bytes are left. */
  get remaining(): number {
    return this.#view.byteLength - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16le(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u16be(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32le(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u32be(): number {
    return this.#view.getUint32(this.#take(4));
  }

  u64le(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  u64be(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  /** The next `length` bytes, as a copy that later writes to the input cannot change. */
  bytes(length: number): Bytes {
    const at = this.#take(length);
    return new Uint8Array(this.#bytes.subarray(at, at + length));
  }

  /** The next `length` bytes as they lie, for a reader over bytes that nobody else writes to. */
  view(length: number): Bytes {
    const at = this.#take(length);
    return asBytes(this.#bytes.subarray(at, at + length));
  }

  /** All bytes that are left, as a copy. */
  rest(): Bytes {
    return this.bytes(this.remaining);
  }

  /** Refuses bytes that nobody read. */
  end(): void {
    if (this.remaining !== 0) this.fail('trailing_bytes');
  }

  fail(code: MalformedCode): never {
    throw new MalformedError(code, `${this.#name} at byte ${this.#at}`);
  }

  #take(length: number): number {
    const at = this.#at;
    if (!(length >= 0 && length <= this.remaining)) this.fail('truncated');
    this.#at += length;
    return at;
  }
}
