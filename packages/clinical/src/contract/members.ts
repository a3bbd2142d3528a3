import { isJsonObject, MalformedError, type JsonObject, type JsonValue } from '@cloister/bytes';

/** Refuses a contract; the pointer names the member, never its value. */
export function fail(pointer: string): never {
  throw new MalformedError('bad_value', `model contract ${pointer}`);
}

/** The value when it is one of those allowed. */
export function member<T extends string>(value: string, allowed: readonly T[], at: string): T {
  return allowed.find((item) => item === value) ?? fail(at);
}

/** An object whose members are taken one by one; `end` refuses those that nobody took. */
export class Members {
  readonly at: string;
  readonly #object: JsonObject;
  readonly #taken = new Set<string>();

  constructor(object: JsonObject, at: string) {
    this.#object = object;
    this.at = at;
  }

  names(): readonly string[] {
    return Object.keys(this.#object);
  }

  end(): void {
    for (const name of this.names()) if (!this.#taken.has(name)) fail(`${this.at}/${name}`);
  }

  string(name: string): string {
    const value = this.#take(name);
    return typeof value === 'string' ? value : fail(`${this.at}/${name}`);
  }

  /** A name that may stand in a URL path as it is. */
  name(name: string): string {
    const value = this.string(name);
    return /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(value) ? value : fail(`${this.at}/${name}`);
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T {
    return member(this.string(name), allowed, `${this.at}/${name}`);
  }

  number(name: string): number {
    const value = this.#take(name);
    return typeof value === 'number' && Number.isFinite(value) ? value : fail(`${this.at}/${name}`);
  }

  integer(name: string): number {
    const value = this.number(name);
    return Number.isSafeInteger(value) ? value : fail(`${this.at}/${name}`);
  }

  boolean(name: string): boolean {
    const value = this.#take(name);
    return typeof value === 'boolean' ? value : fail(`${this.at}/${name}`);
  }

  strings(name: string): readonly string[] {
    return this.#array(name).map((item, index) =>
      typeof item === 'string' ? item : fail(`${this.at}/${name}/${index}`),
    );
  }

  numbers(name: string, length?: number): readonly number[] {
    const values = this.#array(name).map((item, index) =>
      typeof item === 'number' ? item : fail(`${this.at}/${name}/${index}`),
    );
    return length === undefined || values.length === length ? values : fail(`${this.at}/${name}`);
  }

  integers(name: string, length?: number): readonly number[] {
    const values = this.numbers(name, length);
    return values.every((n) => Number.isSafeInteger(n) && n >= 0)
      ? values
      : fail(`${this.at}/${name}`);
  }

  raw(name: string): JsonObject {
    const value = this.#take(name);
    return isJsonObject(value) ? value : fail(`${this.at}/${name}`);
  }

  object(name: string): Members {
    return new Members(this.raw(name), `${this.at}/${name}`);
  }

  objects(name: string): readonly Members[] {
    return this.#array(name).map((item, index) => {
      const at = `${this.at}/${name}/${index}`;
      return isJsonObject(item) ? new Members(item, at) : fail(at);
    });
  }

  #array(name: string): readonly JsonValue[] {
    const value = this.#take(name);
    return Array.isArray(value) ? value : fail(`${this.at}/${name}`);
  }

  #take(name: string): JsonValue {
    const value = Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
    if (value === undefined) return fail(`${this.at}/${name}`);
    this.#taken.add(name);
    return value;
  }
}
