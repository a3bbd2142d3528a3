import { ConfigError } from './config-error.ts';

/**
 * The settings that a command line gives: `--portal-origin X` and `--portal-origin=X` both are
 * `{ portalOrigin: 'X' }`, a flag without a value is `'true'`. Arguments that are no flags, and
 * flags given twice, are refused.
 */
export function parseFlags(args: readonly string[]): Record<string, string> {
  const flags: Record<string, string> = {};
  for (let i = 0; i < args.length; i++) {
    const match = /^--([a-z][a-z0-9]*(?:-[a-z0-9]+)*)(?:=(.*))?$/s.exec(args[i] ?? '');
    const flag = match?.[1];
    if (flag === undefined) throw new ConfigError(`argument ${i + 1} is no flag`);
    const name = camelCase(flag);
    if (Object.hasOwn(flags, name)) throw new ConfigError(`--${flag} is given twice`);
    const next = args[i + 1];
    if (match?.[2] !== undefined) flags[name] = match[2];
    else if (next !== undefined && !next.startsWith('--')) {
      flags[name] = next;
      i++;
    } else flags[name] = 'true';
  }
  return flags;
}

/** `portal-origin` as `portalOrigin`. */
export function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
