import type { Bytes } from './bytes.ts';
import { MalformedError } from './malformed-error.ts';

/** ASN.1 universal tags that X.509 uses (X.690, clause 8). */
export const DER = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OBJECT_IDENTIFIER: 0x06,
  ENUMERATED: 0x0a,
  UTF8_STRING: 0x0c,
  PRINTABLE_STRING: 0x13,
  T61_STRING: 0x14,
  IA5_STRING: 0x16,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

/** One DER element: its tag byte, its contents, and its whole encoding. Views, not copies. */
export interface DerElement {
  readonly tag: number;
  readonly value: Uint8Array;
  readonly raw: Uint8Array;
}

const MAX_DEPTH = 16;

/** Makes its views when they are asked for: most elements are read for one of them. */
class Element implements DerElement {
  readonly tag: number;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #body: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, tag: number, start: number, body: number, end: number) {
    this.#bytes = bytes;
    this.tag = tag;
    this.#start = start;
    this.#body = body;
    this.#end = end;
  }

  get value(): Uint8Array {
    return this.#bytes.subarray(this.#body, this.#end);
  }

  get raw(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }
}

/**
 * A cursor over DER (X.690): definite and minimal lengths only, single-byte tags, no more than
 * 16 levels. Every read throws MalformedError where the bytes are anything else.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  readonly #depth: number;
  readonly #start: number;
  readonly #end: number;
  #at: number;

  /** Over all of the bytes; the cursors inside it are over parts of the same bytes. */
  constructor(bytes: Uint8Array, name: string, depth = 0, start = 0, end: number = bytes.length) {
    if (depth > MAX_DEPTH) throw new MalformedError('too_deep', name);
    this.#bytes = bytes;
    this.#name = name;
    this.#depth = depth;
    this.#start = start;
    this.#end = end;
    this.#at = start;
  }

  /** Whether everything was read. */
  get done(): boolean {
    return this.#at === this.#end;
  }

  /** The tag of the next element, or undefined at the end. */
  peek(): number | undefined {
    return this.#at < this.#end ? this.#bytes[this.#at] : undefined;
  }

  /** The next element, whatever it is. */
  next(): DerElement {
    const start = this.#at;
    const tag = this.#byte();
    const length = this.#length();
    const body = this.#at;
    this.#at += length;
    return new Element(this.#bytes, tag, start, body, this.#at);
  }

  /** The next element, which must have this tag. */
  expect(tag: number): DerElement {
    this.#require(tag);
    return this.next();
  }

  /** The next element if it has this tag; else nothing is read. */
  optional(tag: number): DerElement | undefined {
    return this.peek() === tag ? this.next() : undefined;
  }

  /** A cursor over the contents of the next element, which must have this tag. */
  enter(tag: number): DerReader {
    const body = this.#skip(tag);
    return new DerReader(this.#bytes, this.#name, this.#depth + 1, body, this.#at);
  }

  /** A cursor over the contents of an element read before. */
  inside(element: DerElement): DerReader {
    return new DerReader(element.value, this.#name, this.#depth + 1);
  }

  /** An INTEGER's contents: minimal two's complement, at least one byte (X.690, 8.3). */
  integer(): Uint8Array {
    const { value } = this.expect(DER.INTEGER);
    const first = value[0];
    const second = value[1];
    if (first === undefined) this.fail();
    if (second !== undefined && (first === 0 || first === 0xff) && first >> 7 === second >> 7)
      this.fail();
    return value;
  }

  /** A non-negative INTEGER below 2^31. */
  smallInteger(): number {
    const body = this.#skip(DER.INTEGER);
    const length = this.#at - body;
    const first = this.#bytes[body] ?? 0;
    if (length === 0 || length > 4 || first >= 0x80) this.fail();
    // Minimal: a zero only before what would be negative without it.
    if (length > 1 && first === 0 && (this.#bytes[body + 1] ?? 0) < 0x80) this.fail();
    let value = 0;
    for (let at = body; at < this.#at; at++) value = value * 256 + (this.#bytes[at] ?? 0);
    return value;
  }

  /** A BOOLEAN: 00 or FF (X.690, 11.1). */
  boolean(): boolean {
    const { value } = this.expect(DER.BOOLEAN);
    if (value.length !== 1 || (value[0] !== 0 && value[0] !== 0xff)) this.fail();
    return value[0] === 0xff;
  }

  /** An OBJECT IDENTIFIER in dotted form. */
  oid(): string {
    const body = this.#skip(DER.OBJECT_IDENTIFIER);
    let text = '';
    let arc = 0;
    let started = false;
    for (let at = body; at < this.#at; at++) {
      const byte = this.#bytes[at] ?? 0;
      if (!started && byte === 0x80) this.fail();
      arc = arc * 128 + (byte & 0x7f);
      if (arc > Number.MAX_SAFE_INTEGER) this.fail();
      started = byte >= 0x80;
      if (started) continue;
      if (text === '') {
        const first = Math.min(2, Math.floor(arc / 40));
        text = `${first}.${arc - 40 * first}`;
      } else text += `.${arc}`;
      arc = 0;
    }
    if (started || text === '') this.fail();
    return text;
  }

  /**
   * The last arc of an OBJECT IDENTIFIER that has one arc more than this prefix, and one below 128;
   * undefined for others. The prefix is the contents of an encoded identifier.
   */
  arcBelow(prefix: Uint8Array): number | undefined {
    const body = this.#skip(DER.OBJECT_IDENTIFIER);
    if (this.#at - body !== prefix.length + 1) return undefined;
    for (let i = 0; i < prefix.length; i++) {
      if (this.#bytes[body + i] !== prefix[i]) return undefined;
    }
    const arc = this.#bytes[this.#at - 1] ?? 0x80;
    return arc < 0x80 ? arc : undefined;
  }

  /** A BIT STRING of whole bytes (no unused bits). */
  octetAlignedBits(): Uint8Array {
    const { value } = this.expect(DER.BIT_STRING);
    if (value[0] !== 0) this.fail();
    return value.subarray(1);
  }

  /** Refuses elements that nobody read. */
  end(): void {
    if (!this.done) this.fail('trailing_bytes');
  }

  fail(code: MalformedError['code'] = 'bad_value'): never {
    throw new MalformedError(code, `${this.#name} at byte ${this.#at - this.#start}`);
  }

  #require(tag: number): void {
    if (this.peek() !== tag) this.fail(this.done ? 'truncated' : 'bad_value');
  }

  /** Passes over the next element, which must have this tag; where its contents began. */
  #skip(tag: number): number {
    this.#require(tag);
    this.#byte();
    const length = this.#length();
    const body = this.#at;
    this.#at += length;
    return body;
  }

  /** The length of an element whose tag was read; its contents lie within these bytes. */
  #length(): number {
    if (((this.#bytes[this.#at - 1] ?? 0) & 0x1f) === 0x1f) this.fail();
    let length = this.#byte();
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4) this.fail();
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + this.#byte();
      if (length < 0x80 || length < 2 ** (8 * (count - 1))) this.fail();
    }
    if (length > this.#end - this.#at) this.fail('truncated');
    return length;
  }

  #byte(): number {
    if (this.#at >= this.#end) this.fail('truncated');
    const byte = this.#bytes[this.#at] ?? 0;
    this.#at += 1;
    return byte;
  }
}

/** One DER element with this tag around the given parts. */
export function encodeDer(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const lengthBytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) lengthBytes.unshift(rest % 256);
  const head = length < 0x80 ? [length] : [0x80 | lengthBytes.length, ...lengthBytes];
  const out = new Uint8Array(1 + head.length + length);
  out.set([tag, ...head]);
  let at = 1 + head.length;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A non-negative INTEGER from big-endian bytes: leading zeros dropped, a sign byte added. */
export function encodeDerInteger(bytes: Uint8Array): Bytes {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const body = bytes.length === 0 ? Uint8Array.of(0) : bytes.subarray(start);
  return (body[0] ?? 0) >= 0x80
    ? encodeDer(DER.INTEGER, Uint8Array.of(0), body)
    : encodeDer(DER.INTEGER, body);
}

/** An OBJECT IDENTIFIER from its dotted form; RangeError where it is none (X.660, 7.6). */
export function encodeDerOid(dotted: string): Bytes {
  const [first = 3, second = 0, ...arcs] = dotted.split('.').map(Number);
  const isOid =
    /^\d+(\.\d+)+$/.test(dotted) &&
    first <= 2 &&
    (first === 2 || second < 40) &&
    [second + 80, ...arcs].every(Number.isSafeInteger);
  if (!isOid) throw new RangeError('not an object identifier');
  const body = [first * 40 + second, ...arcs].flatMap((arc) => {
    const groups = [arc % 128];
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) {
      groups.unshift((rest % 128) | 0x80);
    }
    return groups;
  });
  return encodeDer(DER.OBJECT_IDENTIFIER, Uint8Array.from(body));
}
