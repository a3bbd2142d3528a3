import { MalformedError } from '@cloister/bytes';

const CR = 0x0d;
const LF = 0x0a;
const ARRAY = 0x2a;
const BULK = 0x24;
const ZERO = 0x30;
/** More digits than any number within the limits has. */
const MAX_DIGITS = 9;
const WHERE = 'request';

/** How large a request may be. What is over a limit is refused when its header comes. */
export interface RequestLimits {
  /** Most arguments, the command's name among them. */
  readonly args: number;
  /** Most bytes of one argument. */
  readonly bulk: number;
  /** Most bytes of a whole request. */
  readonly request: number;
}

/**
 * Reads requests of RESP2 and RESP3, which are arrays of bulk strings; inline commands are
 * refused. Bytes may come in any pieces. After `next` gave true, `bytes` holds the request from
 * `start` to `end`, argument i from `argStart(i)` to `argEnd(i)`, until the next call. A buffer
 * that was given out is never written to again. Throws MalformedError; then nothing more is read.
 */
export class RequestParser {
  /** What is refused from now on; requests that were read already are not looked at again. */
  limits: RequestLimits;
  /** How many arguments a command may have, by its name; asked when `args` allows more. */
  readonly #argsOf: (bytes: Buffer, start: number, end: number) => number;
  #buffer: Buffer = Buffer.alloc(0);
  /** Whether the buffer is our own, with space behind `#filled`. */
  #owned = false;
  /** How many bytes of the buffer have come. */
  #filled = 0;
  /** Where the present request begins. */
  #start = 0;
  /** Where parsing goes on, counted from the start of the request. */
  #at = 0;
  /** The number of arguments; 0 before the header was read. */
  #argc = 0;
  #done = 0;
  /** Whether the present request is to be given once more. */
  #again = false;
  /** Starts and ends by turns, counted from the start of the request. */
  readonly #bounds: number[] = [];

  constructor(
    limits: RequestLimits,
    argsOf: (bytes: Buffer, start: number, end: number) => number = () => Infinity,
  ) {
    this.limits = limits;
    this.#argsOf = argsOf;
  }

  /** The buffer with the present request. */
  get bytes(): Buffer {
    return this.#buffer;
  }

  /** Where in `bytes` the present request starts. */
  get start(): number {
    return this.#start;
  }

  /** Where in `bytes` the present request ends. */
  get end(): number {
    return this.#start + this.#at;
  }

  /** How many arguments the present request has, the command's name among them. */
  get argc(): number {
    return this.#argc;
  }

  /** Bytes that came and are not yet part of a whole request. */
  get unparsed(): number {
    return this.#filled - this.#start;
  }

  /** Where in `bytes` argument `i` starts. */
  argStart(i: number): number {
    return this.#start + (this.#bounds[2 * i] ?? 0);
  }

  /** Where in `bytes` argument `i` ends. */
  argEnd(i: number): number {
    return this.#start + (this.#bounds[2 * i + 1] ?? 0);
  }

  /** Argument `i` as text, a byte per character. */
  text(i: number): string {
    return this.#buffer.toString('latin1', this.argStart(i), this.argEnd(i));
  }

  /** Lets `next` give the present request once more. */
  unread(): void {
    this.#again = true;
  }

  /** Takes what came from the network: the chunk is the parser's from now on. */
  push(chunk: Buffer): void {
    if (!this.#again) this.#finish();
    const left = this.#filled - this.#start;
    if (left === 0) {
      this.#buffer = chunk;
      this.#owned = false;
      this.#start = 0;
      this.#filled = chunk.length;
      return;
    }
    const needed = left + chunk.length;
    if (!this.#owned || this.#start > 0 || needed > this.#buffer.length) {
      // Space doubles, so that a request in many small pieces is not copied once per piece.
      const grown = Buffer.allocUnsafeSlow(Math.max(2 * left, needed, 512));
      this.#buffer.copy(grown, 0, this.#start, this.#filled);
      this.#buffer = grown;
      this.#owned = true;
      this.#start = 0;
      this.#filled = left;
    }
    chunk.copy(this.#buffer, this.#filled);
    this.#filled += chunk.length;
  }

  /** Whether a whole request is there; it then is the present one. */
  next(): boolean {
    if (this.#again) {
      this.#again = false;
      return true;
    }
    this.#finish();
    if (this.#argc === 0) {
      if (this.#start === this.#filled) return false;
      const argc = this.#header(ARRAY, 'array of bulk strings');
      if (argc < 0) return false;
      if (argc === 0) this.#fail('empty array');
      if (argc > this.limits.args) this.#tooLarge('arguments');
      this.#argc = argc;
    }
    while (this.#done < this.#argc) {
      const before = this.#at;
      const length = this.#header(BULK, 'bulk string');
      if (length < 0) return false;
      const start = this.#at;
      const end = start + length;
      if (length > this.limits.bulk) this.#tooLarge('bulk string');
      if (end + 2 > this.limits.request) this.#tooLarge('whole');
      const stop = this.#start + end;
      if (stop + 2 > this.#filled) {
        this.#at = before;
        return false;
      }
      if (this.#buffer[stop] !== CR || this.#buffer[stop + 1] !== LF) this.#fail('end of a bulk');
      this.#bounds[2 * this.#done] = start;
      this.#bounds[2 * this.#done + 1] = end;
      this.#at = end + 2;
      this.#done += 1;
      if (this.#done === 1 && this.#argc > this.#argsOf(this.#buffer, this.argStart(0), stop))
        this.#tooLarge('arguments');
    }
    return true;
  }

  /** Leaves a request that was given out behind. */
  #finish(): void {
    if (this.#argc === 0 || this.#done < this.#argc) return;
    this.#start += this.#at;
    this.#at = 0;
    this.#argc = 0;
    this.#done = 0;
  }

  /** Reads `<mark><number>\r\n` and moves behind it; -1 where it is not yet all there. */
  #header(mark: number, what: string): number {
    const buffer = this.#buffer;
    const filled = this.#filled;
    let at = this.#start + this.#at;
    if (at >= filled) return -1;
    if (buffer[at] !== mark) this.#fail(`no ${what}`);
    const first = at + 1;
    let value = 0;
    for (at = first; at < filled; at++) {
      const byte = buffer[at] ?? 0;
      const digit = byte - ZERO;
      if (digit >= 0 && digit <= 9) {
        if (at - first >= MAX_DIGITS) this.#tooLarge('length');
        if (value === 0 && at > first) this.#fail('length');
        value = value * 10 + digit;
        continue;
      }
      if (byte !== CR || at === first) this.#fail('length');
      if (at + 1 >= filled) return -1;
      if (buffer[at + 1] !== LF) this.#fail('length');
      this.#at = at + 2 - this.#start;
      return value;
    }
    return -1;
  }

  #fail(what: string): never {
    throw new MalformedError('bad_value', `${WHERE}: ${what}`);
  }

  #tooLarge(what: string): never {
    throw new MalformedError('too_large', `${WHERE}: ${what}`);
  }
}
