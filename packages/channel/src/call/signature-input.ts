import { type Bytes, decodeBase64, MalformedError } from '@cloister/bytes';

/** A covered component: its name and the serialised parameters behind it (RFC 9421 section 2). */
export interface Component {
  readonly name: string;
  readonly parameters: string;
}

/** One member of Signature-Input (RFC 9421 section 4.1). */
export interface SignatureInput {
  readonly label: string;
  readonly components: readonly Component[];
  /** Parameters of the signature: strings without their quotes, everything else as written. */
  readonly parameters: ReadonlyMap<string, string>;
  /** The member's value as written: what stands behind `@signature-params` in the signature base. */
  readonly raw: string;
}

const KEY = /[a-z*][a-z0-9_\-.*]*/y;
const STRING = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y;
const PARAMETER =
  /;([a-z*][a-z0-9_\-.*]*)(?:=("(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"|-?\d{1,15}|:[A-Za-z0-9+/=]*:|\?[01]|[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*))?/y;
const BYTES = /:([A-Za-z0-9+/=]*):/y;
const COMMA = /[ \t]*,[ \t]*/y;

/** Reads Signature-Input, a dictionary of inner lists (RFC 9421 section 4.1, RFC 8941). */
export function parseSignatureInput(text: string): SignatureInput[] {
  return readDictionary(text, 'Signature-Input', (cursor, label) => {
    const start = cursor.position;
    cursor.literal('(');
    const components: Component[] = [];
    while (!cursor.maybe(')')) {
      if (components.length > 0) cursor.literal(' ');
      const [, name = ''] = cursor.match(STRING);
      const from = cursor.position;
      cursor.parameters();
      components.push({ name, parameters: text.slice(from, cursor.position) });
    }
    const parameters = cursor.parameters();
    return { label, components, parameters, raw: text.slice(start, cursor.position) };
  });
}

/** Reads Signature, a dictionary of byte sequences (RFC 9421 section 4.2, RFC 8941). */
export function parseSignature(text: string): { readonly label: string; readonly value: Bytes }[] {
  return readDictionary(text, 'Signature', (cursor, label) => {
    const [, base64 = ''] = cursor.match(BYTES);
    return { label, value: decodeBase64(base64) };
  });
}

function readDictionary<T>(
  text: string,
  name: string,
  readMember: (cursor: Cursor, label: string) => T,
): T[] {
  const cursor = new Cursor(text, name);
  const members: T[] = [];
  const labels = new Set<string>();
  for (;;) {
    const [label = ''] = cursor.match(KEY);
    // RFC 8941 lets the last one win; a signature that hides another is refused instead.
    if (labels.has(label)) cursor.fail();
    labels.add(label);
    cursor.literal('=');
    members.push(readMember(cursor, label));
    if (cursor.done) return members;
    cursor.match(COMMA);
  }
}

class Cursor {
  readonly #text: string;
  readonly #name: string;
  #at = 0;

  constructor(text: string, name: string) {
    this.#text = text;
    this.#name = name;
  }

  get position(): number {
    return this.#at;
  }

  get done(): boolean {
    return this.#at === this.#text.length;
  }

  match(sticky: RegExp): RegExpExecArray {
    return this.#tryMatch(sticky) ?? this.fail();
  }

  literal(character: string): void {
    if (!this.maybe(character)) this.fail();
  }

  maybe(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  parameters(): ReadonlyMap<string, string> {
    const parameters = new Map<string, string>();
    for (;;) {
      const match = this.#tryMatch(PARAMETER);
      if (match === null) return parameters;
      const [, key = '', value = '?1'] = match;
      if (parameters.has(key)) this.fail();
      parameters.set(key, value.startsWith('"') ? value.slice(1, -1) : value);
    }
  }

  #tryMatch(sticky: RegExp): RegExpExecArray | null {
    sticky.lastIndex = this.#at;
    const match = sticky.exec(this.#text);
    if (match !== null) this.#at = sticky.lastIndex;
    return match;
  }

  fail(): never {
    throw new MalformedError('bad_value', `${this.#name} at character ${this.#at}`);
  }
}
