import { MalformedError } from '@cloister/bytes';

/** An error that Redis, or the gate, answered: its first word is the code. */
export class RespError extends Error {
  override readonly name = 'RespError';
  /** `WRONGPASS`, `NOPERM`, `ERR` … */
  readonly code: string;

  constructor(text: string) {
    const [code = 'ERR'] = text.split(' ', 1);
    super(text);
    this.code = /^[A-Z]{1,32}$/.test(code) ? code : 'ERR';
  }
}

/** A reply of RESP2 or RESP3: maps as arrays of names and values by turns. */
export type RespReply = string | number | boolean | null | Buffer | RespError | RespReply[];

/** A whole reply; a push is something that came without being asked for. */
export interface RespFrame {
  readonly reply: RespReply;
  readonly isPush: boolean;
}

const LF = 0x0a;
const CR = 0x0d;
const MAX_BULK = 64 << 20;
const MAX_ELEMENTS = 1 << 20;
const MAX_DEPTH = 8;

/**
 * Reads replies from bytes that come in any pieces. Throws MalformedError for what is no reply;
 * then the connection has to end.
 */
export class RespReader {
  #buffer: Buffer = Buffer.alloc(0);
  #pieces: Buffer[] = [];
  #waiting = 0;
  /** How many bytes the next reply has at least: until then nothing is joined or read. */
  #needed = 1;
  #at = 0;

  push(chunk: Buffer): void {
    this.#pieces.push(chunk);
    this.#waiting += chunk.length;
  }

  /** The next whole reply, if it is there. */
  next(): RespFrame | undefined {
    const rest = this.#buffer.length - this.#at;
    if (rest + this.#waiting < this.#needed) return undefined;
    if (this.#waiting > 0) {
      this.#buffer = Buffer.concat([this.#buffer.subarray(this.#at), ...this.#pieces]);
      this.#pieces = [];
      this.#waiting = 0;
      this.#at = 0;
    }
    const start = this.#at;
    this.#needed = 1;
    const isPush = this.#buffer[start] === 0x3e;
    const reply = this.#read(0);
    if (reply !== undefined) return { reply, isPush };
    // It is read again from its start when more is there, and all of a bulk string that began.
    this.#at = start;
    this.#needed = Math.max(this.#needed - start, this.#buffer.length - start + 1);
    return undefined;
  }

  #read(depth: number): RespReply | undefined {
    if (depth > MAX_DEPTH) this.#fail('too_deep');
    const line = this.#line();
    if (line === undefined) return undefined;
    const text = line.slice(1);
    switch (line.charAt(0)) {
      case '+':
      case ',':
      case '(':
        return text;
      case '-':
        return new RespError(text);
      case ':':
        return this.#number(text);
      case '_':
        return null;
      case '#':
        return text === 't';
      case '!': {
        const bytes = this.#bulk(text);
        return bytes instanceof Uint8Array ? new RespError(bytes.toString('utf8')) : bytes;
      }
      case '=': {
        const bytes = this.#bulk(text);
        return bytes instanceof Uint8Array ? bytes.subarray(4) : bytes;
      }
      case '$':
        return this.#bulk(text);
      case '*':
      case '~':
      case '>':
        return this.#array(this.#number(text), depth);
      case '%':
        return this.#array(2 * this.#number(text), depth);
      default:
        return this.#fail('bad_value');
    }
  }

  #array(count: number, depth: number): RespReply | undefined {
    if (count < 0) return null;
    if (count > MAX_ELEMENTS) this.#fail('too_large');
    const items: RespReply[] = [];
    for (let i = 0; i < count; i++) {
      const item = this.#read(depth + 1);
      if (item === undefined) return undefined;
      items.push(item);
    }
    return items;
  }

  #bulk(text: string): Buffer | null | undefined {
    const length = this.#number(text);
    if (length < 0) return null;
    if (length > MAX_BULK) this.#fail('too_large');
    const end = this.#at + length;
    if (end + 2 > this.#buffer.length) {
      this.#needed = end + 2;
      return undefined;
    }
    if (this.#buffer[end] !== CR || this.#buffer[end + 1] !== LF) this.#fail('bad_value');
    const bytes = this.#buffer.subarray(this.#at, end);
    this.#at = end + 2;
    return bytes;
  }

  #line(): string | undefined {
    const end = this.#buffer.indexOf(LF, this.#at);
    if (end < 0) {
      if (this.#buffer.length - this.#at > 64 * 1024) this.#fail('too_large');
      return undefined;
    }
    if (end <= this.#at || this.#buffer[end - 1] !== CR) this.#fail('bad_value');
    const line = this.#buffer.toString('latin1', this.#at, end - 1);
    this.#at = end + 1;
    return line;
  }

  #number(text: string): number {
    if (!/^-?\d{1,15}$/.test(text)) this.#fail('bad_value');
    return Number(text);
  }

  #fail(code: 'bad_value' | 'too_large' | 'too_deep'): never {
    throw new MalformedError(code, 'reply of Redis');
  }
}
