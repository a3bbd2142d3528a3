import { MalformedError } from './malformed-error.ts';

/** Any JSON value. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;
/** A JSON object. */
export interface JsonObject {
  [name: string]: JsonValue;
}

/** Whether a value is a JSON object: neither null nor an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Bounds of `parseJson`. */
export interface JsonLimits {
  /** How deep objects and arrays may nest; 64 unless told. */
  readonly maxDepth?: number;
  /** How many UTF-16 units the text may have; 16 Mi unless told. */
  readonly maxLength?: number;
}

/**
 * Strict JSON (RFC 8259, and I-JSON's rule of unique names, RFC 7493 section 2.3): duplicate
 * names, numbers that are too large for a double, too deep nesting and text after the value are
 * refused with a MalformedError.
 */
export function parseJson(text: string, name = 'JSON', limits: JsonLimits = {}): JsonValue {
  if (text.length > (limits.maxLength ?? 1 << 24)) throw new MalformedError('too_large', name);
  scanJson(text, name, limits.maxDepth ?? 64);
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- JSON.parse gives JSON
    return JSON.parse(text) as JsonValue;
  } catch {
    // Not as the cause: the engine's message quotes the text.
    throw new MalformedError('bad_value', name);
  }
}

/** As `parseJson`, and refuses all but an object. */
export function parseJsonObject(text: string, name = 'JSON', limits: JsonLimits = {}): JsonObject {
  const value = parseJson(text, name, limits);
  if (!isJsonObject(value)) throw new MalformedError('bad_value', `${name}: not an object`);
  return value;
}

/**
 * The text of one member's value exactly as it stands in a JSON object: what a signature over
 * that value covers. The whole text is checked first as by `parseJson`.
 */
export function sliceJsonMember(text: string, member: string, name = 'JSON'): string {
  parseJsonObject(text, name);
  const span = scanJson(text, name, 64).get(member);
  if (span === undefined)
    throw new MalformedError('bad_value', `${name}: member ${member} missing`);
  return text.slice(span[0], span[1]);
}

/** Space, tab, line feed, carriage return (RFC 8259, section 2). */
function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function endsScalar(code: number): boolean {
  return code === 0x2c || code === 0x5d || code === 0x7d || isSpace(code);
}

/** Finds the spans of a top-level object's members; refuses duplicates at every level. */
function scanJson(text: string, name: string, maxDepth: number): Map<string, [number, number]> {
  const members = new Map<string, [number, number]>();
  let at = 0;
  const fail = (code: 'bad_value' | 'too_deep' | 'truncated'): never => {
    throw new MalformedError(code, `${name} at character ${at}`);
  };
  const space = () => {
    while (isSpace(text.charCodeAt(at))) at++;
  };
  const string = (): string => {
    const start = at++;
    for (;;) {
      const quote = text.indexOf('"', at);
      if (quote < 0) fail('truncated');
      let slashes = 0;
      while (text.charAt(quote - 1 - slashes) === '\\') slashes++;
      at = quote + 1;
      if (slashes % 2 === 0) break;
    }
    const raw = text.slice(start, at);
    if (!raw.includes('\\')) return raw.slice(1, -1);
    try {
      return String(JSON.parse(raw));
    } catch {
      return fail('bad_value');
    }
  };
  const value = (depth: number): void => {
    if (depth > maxDepth) fail('too_deep');
    space();
    const first = text.charAt(at);
    if (first === '{') object(depth);
    else if (first === '[') array(depth);
    else if (first === '"') string();
    else scalar();
    space();
  };
  const scalar = () => {
    const start = at;
    while (at < text.length && !endsScalar(text.charCodeAt(at))) at++;
    if (at === start) fail(at === text.length ? 'truncated' : 'bad_value');
    // RFC 8259, section 6: a number beyond IEEE 754's would be read as infinity.
    if ('-0123456789'.includes(text.charAt(start)) && !Number.isFinite(+text.slice(start, at))) {
      fail('bad_value');
    }
  };
  const object = (depth: number) => {
    const names = new Set<string>();
    at++;
    space();
    if (text.charAt(at) === '}') {
      at++;
      return;
    }
    for (;;) {
      space();
      if (text.charAt(at) !== '"') fail(at >= text.length ? 'truncated' : 'bad_value');
      const key = string();
      if (names.has(key)) fail('bad_value');
      names.add(key);
      space();
      if (text.charAt(at) !== ':') fail(at >= text.length ? 'truncated' : 'bad_value');
      at++;
      space();
      const start = at;
      value(depth + 1);
      if (depth === 0) members.set(key, [start, text.slice(0, at).trimEnd().length]);
      const next = text.charAt(at++);
      if (next === '}') return;
      if (next !== ',') fail(next === '' ? 'truncated' : 'bad_value');
    }
  };
  const array = (depth: number) => {
    at++;
    space();
    if (text.charAt(at) === ']') {
      at++;
      return;
    }
    for (;;) {
      value(depth + 1);
      const next = text.charAt(at++);
      if (next === ']') return;
      if (next !== ',') fail(next === '' ? 'truncated' : 'bad_value');
    }
  };
  value(0);
  if (at !== text.length) fail('bad_value');
  return members;
}

/**
 * The one text of a JSON value (RFC 8785, JSON Canonicalization Scheme). MalformedError for
 * numbers that are not finite and strings with lone surrogates.
 */
export function canonicalJson(value: JsonValue): string {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new MalformedError('bad_value', 'canonical JSON: string');
    return JSON.stringify(value);
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new MalformedError('bad_value', 'canonical JSON: number');
    return JSON.stringify(value);
  }
  if (value === null || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members = Object.keys(value)
    .toSorted()
    .flatMap((name) => {
      const member = value[name];
      return member === undefined ? [] : [`${canonicalJson(name)}:${canonicalJson(member)}`];
    });
  return `{${members.join(',')}}`;
}
