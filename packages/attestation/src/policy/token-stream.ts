import { PolicyParsingError } from './parsing-error.ts';
import type { PolicyToken } from './scan-policy.ts';

/** How deep the grammar's rules may nest: functions in functions. */
const MAX_DEPTH = 40;

/** The symbols of a policy, read one by one, and the grammar's rule that is being read. */
export class TokenStream {
  readonly #tokens: readonly PolicyToken[];
  readonly #rules: string[] = ['policy'];
  #at = 0;

  constructor(tokens: readonly PolicyToken[]) {
    this.#tokens = tokens;
  }

  /** The symbol that comes next; the end stays the end. */
  get next(): PolicyToken {
    const token = this.#tokens[this.#at] ?? this.#tokens.at(-1);
    if (token === undefined) throw new RangeError('a token stream without an end');
    return token;
  }

  /** The symbol that was taken last. */
  get last(): PolicyToken {
    return this.#tokens[this.#at - 1] ?? this.next;
  }

  /** Reads with a rule of the grammar, which errors then name. */
  within<T>(rule: string, read: () => T): T {
    this.#rules.push(rule);
    if (this.#rules.length > MAX_DEPTH) throw this.wrong('too deeply nested');
    const result = read();
    this.#rules.pop();
    return result;
  }

  /** Takes the next symbol. */
  take(): PolicyToken {
    const token = this.next;
    this.#at += 1;
    return token;
  }

  /** Whether the next symbol is this one. */
  sees(symbol: string): boolean {
    const { kind, text } = this.next;
    return kind === 'symbol' && text === symbol;
  }

  /** Takes the next symbol if it is this one. */
  accept(symbol: string): boolean {
    if (!this.sees(symbol)) return false;
    this.#at += 1;
    return true;
  }

  /** Takes this symbol; PolicyParsingError where another stands. */
  expect(symbol: string): PolicyToken {
    if (!this.sees(symbol)) throw this.unexpected(`'${symbol}'`);
    return this.take();
  }

  /** Takes a symbol of this kind. */
  expectKind(kind: 'name' | 'integer'): PolicyToken {
    if (this.next.kind !== kind) throw this.unexpected(kind);
    return this.take();
  }

  /** The error for a next symbol that is not what must stand here. */
  unexpected(expecting: string): PolicyParsingError {
    return new PolicyParsingError(this.next, { expecting }, this.#rules.join(' > '));
  }

  /** The error for a symbol that breaks a rule beyond the grammar. */
  wrong(problem: string, token: PolicyToken = this.next): PolicyParsingError {
    return new PolicyParsingError(token, { problem }, this.#rules.join(' > '));
  }
}
