import { MalformedError } from '@cloister/bytes';

const LF = 0x0a;
const CR = 0x0d;
const MINUS = 0x2d;
const ZERO = 0x30;
/** The longest kind of push, `punsubscribe`, with room to spare. */
const MAX_KIND = 16;

/** The first byte of replies of RESP2 and RESP3. */
export const REPLY = {
  SIMPLE: 0x2b,
  ERROR: 0x2d,
  INTEGER: 0x3a,
  BULK: 0x24,
  ARRAY: 0x2a,
  PUSH: 0x3e,
} as const;

/** What follows the first byte: a line, a length and bytes, or a count of elements. */
const LINES = new Set(Buffer.from('+-:,(#_', 'latin1'));
const BULKS = new Set(Buffer.from('$=!', 'latin1'));
const AGGREGATES = new Map([
  [0x2a, 1], // * array
  [0x7e, 1], // ~ set
  [0x3e, 1], // > push
  [0x25, 2], // % map
  [0x7c, 2], // | attributes: the reply itself follows them
]);
const ATTRIBUTES = 0x7c;

/**
 * Finds where replies end, without reading them: the gate passes on the bytes themselves, and
 * only has to know where its own answers go in between. Throws MalformedError for what is no
 * reply: Redis would have to be broken, or replaced.
 */
export class ReplyScanner {
  /** Elements that the present reply still needs; 0 between replies. */
  #open = 0;
  #type = 0;
  /** Within a line: its first byte. */
  #mark = 0;
  #value = 0;
  #negative = false;
  #digits = 0;
  /** Bytes of a bulk string, with the CRLF behind it, that are still to come. */
  #skip = 0;
  #inLine = false;
  /** Number of the element that is being read, the reply itself being 0. */
  #element = 0;
  #kind = '';

  /** Whether the last byte seen ended a reply. */
  get isBetween(): boolean {
    return this.#open === 0 && !this.#inLine;
  }

  /** The first byte of the reply that ended last. */
  get type(): number {
    return this.#type;
  }

  /** Its first element where it is an array or a push that begins with a short bulk string. */
  get kind(): string {
    return this.#kind;
  }

  /** The position behind the next reply that ends in the chunk, from `at` on; -1 if none does. */
  next(chunk: Buffer, at: number): number {
    const length = chunk.length;
    while (at < length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, length - at);
        if (this.#element === 1 && this.#kind.length < MAX_KIND) this.#collect(chunk, at, step);
        this.#skip -= step;
        at += step;
        if (this.#skip > 0) return -1;
        this.#element += 1;
        if (--this.#open === 0) return at;
        continue;
      }
      if (!this.#inLine) {
        this.#begin(chunk[at] ?? 0);
        at += 1;
        continue;
      }
      if (LINES.has(this.#mark)) {
        const end = chunk.indexOf(LF, at);
        if (end < 0) return -1;
        at = end + 1;
        this.#inLine = false;
        this.#element += 1;
        if (--this.#open === 0) return at;
        continue;
      }
      const byte = chunk[at] ?? 0;
      at += 1;
      if (byte === LF) {
        this.#endHeader();
        if (this.#open === 0) return at;
      } else if (byte === MINUS && this.#digits === 0) this.#negative = true;
      else if (byte !== CR) {
        const digit = byte - ZERO;
        if (digit < 0 || digit > 9 || ++this.#digits > 12) this.#fail();
        this.#value = this.#value * 10 + digit;
      }
    }
    return -1;
  }

  #begin(mark: number): void {
    if (this.#open === 0) {
      this.#open = 1;
      this.#type = mark;
      this.#element = 0;
      this.#kind = '';
    }
    if (!LINES.has(mark) && !BULKS.has(mark) && !AGGREGATES.has(mark)) this.#fail();
    this.#mark = mark;
    this.#inLine = true;
    this.#value = 0;
    this.#digits = 0;
    this.#negative = false;
  }

  /** A length or a count has been read: of bytes, or of elements. */
  #endHeader(): void {
    this.#inLine = false;
    if (BULKS.has(this.#mark)) {
      if (this.#negative) {
        this.#element += 1;
        this.#open -= 1;
      } else {
        this.#skip = this.#value + 2;
        // Whether this is the kind of a push; only the element after the array's header is.
        if (this.#element === 1 && this.#value > MAX_KIND) this.#element = 2;
      }
      return;
    }
    const elements = this.#negative ? 0 : this.#value * (AGGREGATES.get(this.#mark) ?? 1);
    this.#open += this.#mark === ATTRIBUTES ? elements : elements - 1;
    this.#element += 1;
  }

  #collect(chunk: Buffer, at: number, step: number): void {
    // The CRLF at its end is not part of it.
    const rest = Math.min(step, this.#skip - 2);
    if (rest > 0) this.#kind += chunk.toString('latin1', at, at + rest);
  }

  #fail(): never {
    throw new MalformedError('bad_value', 'reply of Redis');
  }
}
