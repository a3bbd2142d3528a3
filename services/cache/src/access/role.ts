import { ConfigError } from '@cloister/service';
import { CATEGORIES, COMMANDS, NEVER, type CommandSpec } from './command-table.ts';
import { covers, isMatch, parsePattern, type Pattern } from './pattern.ts';

/** What the callers of one service may do. */
export interface Role {
  /** The service whose token gives this role. */
  readonly name: string;
  /** As it stands in the manifest. */
  readonly rules: string;
  readonly commands: ReadonlySet<CommandSpec>;
  readonly keys: readonly Pattern[];
  readonly channels: readonly Pattern[];
}

/** Belong to every session; they touch no key, or the gate answers them itself. */
const ALWAYS = ['ping', 'echo'];
/** Names of Redis' ACL that are about speed, or about what is never given. */
const IGNORED = new Set(['fast', 'slow', 'dangerous', 'admin', 'scripting']);

/**
 * Reads a role of the manifest (`cache.roles`), in a subset of the language of Redis' ACL, read
 * from left to right: `~pattern` keys, `allkeys`, `&pattern` channels, `allchannels`, `+name`,
 * `-name`, `+name|sub`, `+@category`, `-@category`, `+@all`, `-@all`. What it does not understand,
 * and commands that nobody gets, are refused as a whole: a role never means less or more than it
 * says. Throws ConfigError.
 */
export function parseRole(name: string, rules: string): Role {
  const fail = (rule: string): never => {
    throw new ConfigError(`manifest: /cache/roles/${name}: rule ${rule}`);
  };
  const commands = new Set<CommandSpec>();
  const keys: Pattern[] = [];
  const channels: Pattern[] = [];
  for (const [index, rule] of rules.split(/\s+/).filter(Boolean).entries()) {
    const sign = rule.charAt(0);
    const rest = rule.slice(1);
    if (rule === 'allkeys') keys.push(parsePattern('*'));
    else if (rule === 'allchannels') channels.push(parsePattern('*'));
    else if (rest === '') fail(`${index + 1}`);
    else if (sign === '~') keys.push(parsePattern(rest));
    else if (sign === '&') channels.push(parsePattern(rest));
    else if (sign === '+' || sign === '-') {
      const named = commandsOf(rest.toLowerCase()) ?? fail(`${index + 1}`);
      for (const spec of named) {
        if (sign === '+') commands.add(spec);
        else commands.delete(spec);
      }
    } else fail(`${index + 1}`);
  }
  for (const always of ALWAYS) {
    const spec = COMMANDS.get(always);
    if (spec !== undefined) commands.add(spec);
  }
  return { name, rules, commands, keys, channels };
}

/** Whether the role may use the key that stands from `start` to `end`. */
export function isKeyAllowed(role: Role, bytes: Buffer, start: number, end: number): boolean {
  for (const pattern of role.keys) if (isMatch(pattern, bytes, start, end)) return true;
  return false;
}

/** Whether a SCAN with this MATCH shows the role only keys that are its own. */
export function isScanAllowed(role: Role, match: string): boolean {
  return role.keys.some((pattern) => covers(pattern, match));
}

/** Whether the role may use this channel; a pattern of channels must be one of its own, to the letter. */
export function isChannelAllowed(
  role: Role,
  channel: { readonly bytes: Buffer; readonly start: number; readonly end: number },
  asPattern: boolean,
): boolean {
  const { bytes, start, end } = channel;
  if (!asPattern) return role.channels.some((pattern) => isMatch(pattern, bytes, start, end));
  const glob = bytes.toString('latin1', start, end);
  return role.channels.some(({ text }) => text === glob || text === '*');
}

/** The commands that a rule names, a whole family where it names a container; none if unknown. */
function commandsOf(name: string): readonly CommandSpec[] | undefined {
  if (name.startsWith('@')) {
    const category = name.slice(1);
    if (category === 'all') return [...COMMANDS.values()];
    if (IGNORED.has(category)) return [];
    if (!CATEGORIES.has(category)) return undefined;
    return [...COMMANDS.values()].filter(({ categories }) => categories.has(category));
  }
  if (NEVER.has(name)) return undefined;
  const spec = COMMANDS.get(name);
  if (spec !== undefined) return [spec];
  const family = [...COMMANDS.values()].filter((one) => one.name.startsWith(`${name}|`));
  if (family.length > 0) return family;
  // The gate answers these itself, for everybody.
  return ['auth', 'hello', 'client', 'info', 'select', 'quit'].includes(name) ? [] : undefined;
}
