import { ConfigError } from './config-error.ts';

/** A setting that a process cannot do without, though its schema lets it be absent. */
export function needed<T>(value: T | undefined, setting: string): T {
  if (value === undefined) throw new ConfigError(`${setting}: needed`);
  return value;
}
