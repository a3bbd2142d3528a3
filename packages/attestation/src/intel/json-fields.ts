import {
  decodeHex,
  isJsonObject,
  MalformedError,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import type { JsonValue } from '@cloister/bytes';

/** Typed reads of an Intel JSON document; each throws MalformedError naming the member. */
export class JsonFields {
  readonly #object: JsonObject;
  readonly #where: string;

  constructor(value: JsonValue | undefined, where: string) {
    if (!isJsonObject(value)) throw new MalformedError('bad_value', `${where}: not an object`);
    this.#object = value;
    this.#where = where;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name);
  }

  string(name: string): string {
    const value = this.#object[name];
    return typeof value === 'string' ? value : this.fail(name);
  }

  /** An integer from 0 to `max`. */
  integer(name: string, max: number): number {
    const value = this.#object[name];
    if (typeof value !== 'number' || !Number.isInteger(value)) return this.fail(name);
    return value >= 0 && value <= max ? value : this.fail(name);
  }

  /** Hex of exactly `size` bytes, in either case. */
  hex(name: string, size: number): Bytes {
    const bytes = decodeHex(this.string(name), `${this.#where}.${name}`);
    return bytes.length === size ? bytes : this.fail(name);
  }

  /** One of a closed set of strings. */
  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const value = this.string(name);
    return values.find((known) => known === value) ?? this.fail(name);
  }

  /** An instant, written as Intel does: see `parseInstant`. */
  instant(name: string): Date {
    return parseInstant(this.string(name), `${this.#where}.${name}`);
  }

  object(name: string): JsonFields {
    return new JsonFields(this.#object[name], `${this.#where}.${name}`);
  }

  /** The objects of an array that is not empty. */
  objects(name: string): JsonFields[] {
    const value = this.#object[name];
    if (!Array.isArray(value) || value.length === 0) return this.fail(name);
    return value.map((item, i) => new JsonFields(item, `${this.#where}.${name}[${i}]`));
  }

  /** The strings of an array; empty where the member is absent. */
  strings(name: string): readonly string[] {
    const value = this.#object[name] ?? [];
    if (!Array.isArray(value)) return this.fail(name);
    return value.map((item) => (typeof item === 'string' ? item : this.fail(name)));
  }

  fail(name: string): never {
    throw new MalformedError('bad_value', `${this.#where}.${name}`);
  }
}

/** An instant as Intel writes it: `YYYY-MM-DDThh:mm:ssZ`, UTC, and nothing else (3.3). */
export function parseInstant(text: string, name: string): Date {
  const date = new Date(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? text : Number.NaN);
  // Date accepts 30 February by moving on: the text must come back as it was.
  if (Number.isNaN(date.getTime()) || date.toISOString() !== text.replace('Z', '.000Z')) {
    throw new MalformedError('bad_value', name);
  }
  return date;
}
