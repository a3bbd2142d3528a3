import { PolicyParsingError, type Place } from './parsing-error.ts';

/** A symbol of a policy's text. */
export interface PolicyToken extends Place {
  readonly kind: 'name' | 'integer' | 'string' | 'symbol' | 'end';
  /** As it stands in the text; of the end, `<EOF>`. */
  readonly text: string;
  /** What a string says, its escapes resolved; else the text. */
  readonly value: string;
  /** Where it begins and ends in the text. */
  readonly start: number;
  readonly end: number;
}

/** How long a policy's text may be, in bytes of UTF-8 (spec/azure-attestation.md 4.7). */
export const MAX_POLICY_BYTES: number = 64 * 1024;

const SPACE = /(?:[ \t\r\n\f\v\u00a0\ufeff]|\/\/[^\n]*)+/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const INTEGER = /[0-9]+/y;
const STRING = /"(?:[^"\\]|\\["\\])*"/y;
const SYMBOL = /=>|==|!=|<=|>=|&&|[=!<>{}()[\];,.:-]/y;

/** Splits a policy's text into its symbols; the last is its end. Throws PolicyParsingError. */
export function scanPolicy(text: string): PolicyToken[] {
  const places = placesIn(text);
  const tokens: PolicyToken[] = [];
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  const push = (kind: PolicyToken['kind'], symbol: string, value = symbol): void => {
    const end = at + (kind === 'end' ? 0 : symbol.length);
    tokens.push({ kind, text: symbol, value, start: at, end, ...places(at) });
    at = end;
  };
  refuseSize(text);
  for (;;) {
    at += match(SPACE)?.length ?? 0;
    if (at >= text.length) break;
    const name = match(NAME);
    if (name !== undefined) {
      push('name', name);
      continue;
    }
    const integer = match(INTEGER);
    if (integer !== undefined) {
      push('integer', integer);
      continue;
    }
    const string = match(STRING);
    if (string !== undefined) {
      push('string', string, string.slice(1, -1).replaceAll(/\\(["\\])/g, '$1'));
      continue;
    }
    const symbol = match(SYMBOL);
    if (symbol === undefined) throw unreadable(text, at, places(at));
    push('symbol', symbol);
  }
  push('end', '<EOF>');
  return tokens;
}

function refuseSize(text: string): void {
  const place = { line: 1, column: 1, text: text.slice(0, 1) };
  // A UTF-16 unit becomes at least one byte, and at most three.
  const tooLong =
    text.length > MAX_POLICY_BYTES || new TextEncoder().encode(text).length > MAX_POLICY_BYTES;
  if (tooLong)
    throw new PolicyParsingError(
      place,
      { problem: `the policy is larger than ${MAX_POLICY_BYTES} bytes` },
      'policy',
    );
  if (!text.isWellFormed())
    throw new PolicyParsingError(place, { problem: 'the policy is no well-formed text' }, 'policy');
}

function unreadable(text: string, at: number, place: Place): PolicyParsingError {
  const symbol = String.fromCodePoint(text.codePointAt(at) ?? 0);
  if (symbol !== '"')
    return new PolicyParsingError(
      { ...place, text: symbol },
      { problem: `token recognition error at: '${symbol}'` },
      'policy',
    );
  const body = /^"(?:[^"\\]|\\["\\])*/.exec(text.slice(at))?.[0] ?? '';
  const problem =
    text.charAt(at + body.length) === '\\'
      ? 'a backslash in a string stands before a quotation mark or another backslash'
      : 'the string has no end';
  return new PolicyParsingError({ ...place, text: body }, { problem }, 'policy');
}

/** Line and column of an offset; offsets are asked for in rising order. */
function placesIn(text: string): (offset: number) => Place {
  let line = 1;
  let lineStart = 0;
  return (offset) => {
    for (;;) {
      const next = text.indexOf('\n', lineStart);
      if (next < 0 || next >= offset) break;
      line += 1;
      lineStart = next + 1;
    }
    return { line, column: offset - lineStart + 1 };
  };
}
