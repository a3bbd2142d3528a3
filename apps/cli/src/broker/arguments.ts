import { parseArgs, type ParseArgsConfig } from 'node:util';
import { CommandError } from '../command-error.ts';

/** Thrown where a command was called wrongly: its help is shown, exit code 64. */
export class WrongUseError extends CommandError {}

/** The arguments of an action, read. */
export class Arguments {
  readonly places: readonly string[];
  readonly #values: ReturnType<typeof parseArgs>['values'];

  /** Reads so many places and these options; WrongUseError for others. */
  constructor(
    args: readonly string[],
    count: number,
    options: NonNullable<ParseArgsConfig['options']>,
  ) {
    let parsed: ReturnType<typeof parseArgs>;
    try {
      parsed = parseArgs({ args: [...args], allowPositionals: true, options });
    } catch (error) {
      throw new WrongUseError(error instanceof Error ? error.message : 'arguments', {
        cause: error,
      });
    }
    if (parsed.positionals.length !== count) throw new WrongUseError('wrong number of arguments');
    this.places = parsed.positionals;
    this.#values = parsed.values;
  }

  /** What stands at a place. */
  place(index: number): string {
    return this.places[index] ?? '';
  }

  optional(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  need(name: string): string {
    const value = this.optional(name);
    if (value === undefined) throw new WrongUseError(`--${name} is needed`);
    return value;
  }

  /** A whole number, not negative. */
  count(name: string): number {
    const text = this.need(name);
    if (!/^\d{1,15}$/.test(text)) throw new WrongUseError(`--${name}: ${text} is no number`);
    return Number(text);
  }

  list(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }
}
