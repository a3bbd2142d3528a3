import { encodeHex, isZero, MalformedError, Reader, type Bytes } from '@cloister/bytes';
import type { Field, Section } from './inspection.ts';

/** How a value is shown, and what it means. */
interface Shown<T> {
  readonly show?: (value: T) => string;
  readonly meaning?: (value: T) => string | undefined;
}

/** Reads evidence front to back, and keeps what it read as fields with their offsets. */
export class FieldReader {
  readonly #reader: Reader;
  readonly #base: number;
  readonly #sections: { title: string; fields: Field[] }[] = [];

  constructor(bytes: Uint8Array, name: string, base = 0) {
    this.#reader = new Reader(bytes, name);
    this.#base = base;
  }

  /** What was read so far. */
  get sections(): readonly Section[] {
    return this.#sections.filter(({ fields }) => fields.length > 0);
  }

  /** Offset of the next byte in the whole evidence. */
  get position(): number {
    return this.#base + this.#reader.position;
  }

  get remaining(): number {
    return this.#reader.remaining;
  }

  /** The fields that follow belong together. */
  section(title: string): this {
    this.#sections.push({ title, fields: [] });
    return this;
  }

  u8(name: string, meaning?: (value: number) => string | undefined): number {
    return this.#read(name, 1, () => this.#reader.u8(), { show: String, ...withMeaning(meaning) });
  }

  u16(name: string, meaning?: (value: number) => string | undefined): number {
    return this.#read(name, 2, () => this.#reader.u16le(), {
      show: String,
      ...withMeaning(meaning),
    });
  }

  u32(name: string, meaning?: (value: number) => string | undefined): number {
    return this.#read(name, 4, () => this.#reader.u32le(), {
      show: String,
      ...withMeaning(meaning),
    });
  }

  /** A set of bits, shown as a number in hex. */
  flags64(name: string, meaning: (value: bigint) => string): bigint {
    return this.#read(name, 8, () => this.#reader.u64le(), { show: showBits, meaning });
  }

  /** Bytes, shown as hex: all of them up to 64, else the first 16. */
  bytes(name: string, size: number, meaning?: (value: Bytes) => string | undefined): Bytes {
    return this.#read(name, size, () => this.#reader.bytes(size), {
      show: showBytes,
      meaning: (value) => meaning?.(value) ?? (size > 0 && isZero(value) ? 'zero' : undefined),
    });
  }

  /** Bytes that say nothing to people; shown by their length alone, unless they are not zero. */
  reserved(size: number): Bytes {
    return this.#read('reserved', size, () => this.#reader.bytes(size), {
      show: (value) => (isZero(value) ? '00…' : showBytes(value)),
      meaning: (value) => (isZero(value) ? 'zero' : 'not zero'),
    });
  }

  /** Bytes that another reader takes apart: no field of their own. */
  take(size: number): Bytes {
    return this.#reader.bytes(size);
  }

  /** Adds sections that were read elsewhere. */
  include(sections: readonly Section[]): void {
    for (const { title, fields } of sections) this.#sections.push({ title, fields: [...fields] });
  }

  #read<T>(name: string, size: number, read: () => T, { show, meaning }: Shown<T>): T {
    const offset = this.position;
    const value = read();
    const said = meaning?.(value);
    const section = this.#sections.at(-1);
    if (section === undefined) throw new MalformedError('bad_value', `${name}: no section`);
    section.fields.push({
      offset,
      size,
      name,
      value: show?.(value) ?? String(value),
      ...(said === undefined || said === '' ? {} : { meaning: said }),
    });
    return value;
  }
}

function withMeaning<T>(
  meaning: ((value: T) => string | undefined) | undefined,
): Pick<Shown<T>, 'meaning'> {
  return meaning === undefined ? {} : { meaning };
}

function showBits(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** Hex; of more than 64 bytes the first 16. */
export function showBytes(bytes: Uint8Array): string {
  if (bytes.length <= 64) return encodeHex(bytes);
  return `${encodeHex(bytes.subarray(0, 16))}… (${bytes.length} bytes)`;
}

/** The names of the bits that are set; those without a name by their number. */
export function bitNames(value: bigint, names: ReadonlyMap<number, string>): string {
  const set: string[] = [];
  for (let bit = 0; value >> BigInt(bit) > 0n; bit++) {
    if (((value >> BigInt(bit)) & 1n) === 1n) set.push(names.get(bit) ?? `bit ${bit}`);
  }
  return set.length === 0 ? 'none' : set.join(', ');
}

/** Little-endian bytes as a number. */
export function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}
