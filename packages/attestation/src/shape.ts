import { isJsonObject, MalformedError, type JsonObject, type JsonValue } from '@cloister/bytes';

/**
 * A JSON value that is being read, and where it stands (a JSON pointer, RFC 6901): every reading
 * is strict, and what is wrong throws MalformedError with the document's name and the pointer.
 */
export class Shape {
  readonly value: JsonValue;
  readonly #document: string;
  readonly #pointer: string;

  constructor(value: JsonValue, document: string, pointer = '') {
    this.value = value;
    this.#document = document;
    this.#pointer = pointer;
  }

  /** Refuses this value. */
  fail(): never {
    throw new MalformedError('bad_value', `${this.#document}: ${this.#pointer || '(document)'}`);
  }

  /** An object that has all `required` members, perhaps `optional` ones, and no others. */
  members(required: readonly string[], optional: readonly string[] = []): Members {
    const value = this.object();
    for (const name of required) if (!Object.hasOwn(value, name)) this.#at(name, null).fail();
    for (const name of Object.keys(value))
      if (!required.includes(name) && !optional.includes(name)) this.#at(name, null).fail();
    return {
      get: (name) => this.#at(name, value[name] ?? null),
      maybe: (name) =>
        Object.hasOwn(value, name) ? this.#at(name, value[name] ?? null) : undefined,
    };
  }

  /** An object whose member names are free: each of them, with its value. */
  entries(name: RegExp): readonly (readonly [string, Shape])[] {
    return Object.entries(this.object()).map(([key, value]) => {
      const at = this.#at(key, value);
      return name.test(key) && key !== '__proto__' ? ([key, at] as const) : at.fail();
    });
  }

  /** An object, its members unread. */
  object(): JsonObject {
    return isJsonObject(this.value) ? this.value : this.fail();
  }

  /** An array, its items unread. */
  items({ min = 0, max = 1024 }: { readonly min?: number; readonly max?: number } = {}): Shape[] {
    if (!Array.isArray(this.value) || this.value.length < min || this.value.length > max)
      return this.fail();
    return this.value.map((item, index) => this.#at(String(index), item));
  }

  /** As `items`, and no two read alike. */
  distinct<T>(read: (item: Shape) => T, limits: { min?: number; max?: number } = {}): T[] {
    const seen = new Set<unknown>();
    return this.items(limits).map((item) => {
      const value = read(item);
      if (seen.has(value)) item.fail();
      seen.add(value);
      return value;
    });
  }

  /** A string that matches. */
  string(pattern: RegExp = /^.{1,1024}$/su): string {
    return typeof this.value === 'string' && pattern.test(this.value) ? this.value : this.fail();
  }

  /** One of these strings. */
  oneOf<T extends string>(allowed: readonly T[]): T {
    return allowed.find((one) => one === this.value) ?? this.fail();
  }

  /** Lower-case hex of exactly so many bytes. */
  hex(bytes: number): string {
    const value = this.string(/^[0-9a-f]+$/u);
    return value.length === 2 * bytes ? value : this.fail();
  }

  /** An integer within bounds. */
  integer(min = 0, max: number = Number.MAX_SAFE_INTEGER): number {
    const { value } = this;
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max
      ? value
      : this.fail();
  }

  #at(name: string, value: JsonValue): Shape {
    // A name from outside is only repeated where it looks like one.
    const step = /^[\w.:-]{1,64}$/u.test(name) ? name : '?';
    return new Shape(value, this.#document, `${this.#pointer}/${step}`);
  }
}

/** The members of an object whose names were checked. */
export interface Members {
  readonly get: (name: string) => Shape;
  readonly maybe: (name: string) => Shape | undefined;
}
