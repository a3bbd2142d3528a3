import type { RequestParser } from '../resp/request-parser.ts';
import { COMMANDS, type CommandSpec, type Operands } from './command-table.ts';
import { isChannelAllowed, isKeyAllowed, isScanAllowed, type Role } from './role.ts';

/** Why a request goes no further. Stable: metrics count by it. */
export type Denial = 'command' | 'key' | 'channel' | 'arguments';

/** The longest name of a command that the gate knows. */
const MAX_NAME = 20;
/** Most arguments of a command that takes a fixed few. */
const MAX_ARGS = 64;

/** What the gate answers itself, for everybody, whatever the role. */
export type SessionCommand = 'auth' | 'hello' | 'client' | 'info' | 'select' | 'quit';

type Known =
  | { readonly spec: CommandSpec }
  | { readonly container: true }
  | { readonly session: SessionCommand };

const known = new Map<string, Known>();
for (const spec of COMMANDS.values()) {
  const [name = '', sub] = spec.name.split('|');
  known.set(name, sub === undefined ? { spec } : { container: true });
}
for (const session of ['auth', 'hello', 'client', 'info', 'select', 'quit'] as const)
  known.set(session, { session });
// Clients write one case or the other: both are found without making a new string.
for (const [name, one] of new Map(known)) known.set(name.toUpperCase(), one);

/** The command of the present request: of the table, of the session, or unknown to the gate. */
export function lookUp(request: RequestParser): CommandSpec | SessionCommand | undefined {
  const found = knownAs(request.bytes, request.argStart(0), request.argEnd(0));
  if (found === undefined) return undefined;
  if ('spec' in found) return found.spec;
  if ('session' in found) return found.session;
  if (request.argc < 2) return undefined;
  if (request.argEnd(1) - request.argStart(1) > MAX_NAME) return undefined;
  return COMMANDS.get(`${request.text(0)}|${request.text(1)}`.toLowerCase());
}

/** How many arguments the command that is named here may have. */
export function argumentLimit(bytes: Buffer, start: number, end: number): number {
  const found = knownAs(bytes, start, end);
  return found !== undefined && 'spec' in found && found.spec.variadic ? Infinity : MAX_ARGS;
}

function knownAs(bytes: Buffer, start: number, end: number): Known | undefined {
  if (end - start > MAX_NAME) return undefined;
  const name = bytes.toString('latin1', start, end);
  return known.get(name) ?? known.get(name.toLowerCase());
}

/** Whether a role may make the present request; undefined: it may. */
export function checkRequest(
  role: Role,
  spec: CommandSpec,
  request: RequestParser,
): Denial | undefined {
  if (!role.commands.has(spec)) return 'command';
  if (spec.keys.at !== 'nowhere') {
    const denial = checkKeys(role, spec.keys, request);
    if (denial !== undefined) return denial;
    // Another database is another key space.
    if (spec.name === 'copy' && request.argc > 4) return 'arguments';
  }
  if (spec.channels.at === 'range') {
    const { first, last, step } = spec.channels;
    const end = last < 0 ? request.argc + last : Math.min(last, request.argc - 1);
    for (let i = first; i <= end; i += step) {
      const channel = {
        bytes: request.bytes,
        start: request.argStart(i),
        end: request.argEnd(i),
      };
      if (!isChannelAllowed(role, channel, spec.patterns)) return 'channel';
    }
  }
  return undefined;
}

function checkKeys(role: Role, keys: Operands, request: RequestParser): Denial | undefined {
  const { argc } = request;
  switch (keys.at) {
    case 'nowhere':
      return undefined;
    case 'range': {
      const last = keys.last < 0 ? argc + keys.last : keys.last;
      // Too few arguments: what the gate takes for a key may be something else to Redis.
      if (last >= argc || last < keys.first) return 'arguments';
      for (let i = keys.first; i <= last; i += keys.step)
        if (!isKey(role, request, i)) return 'key';
      return undefined;
    }
    case 'counted': {
      const { count, also } = keys;
      const number = count < argc ? readCount(request.text(count)) : 0;
      if (number < 1 || count + number >= argc) return 'arguments';
      for (let i = count + 1; i <= count + number; i++) if (!isKey(role, request, i)) return 'key';
      return also === undefined || isKey(role, request, also) ? undefined : 'key';
    }
    case 'streams':
      return checkStreams(role, request);
    case 'match':
      return checkScan(role, request);
    default:
      return keys satisfies never;
  }
}

function isKey(role: Role, request: RequestParser, i: number): boolean {
  return isKeyAllowed(role, request.bytes, request.argStart(i), request.argEnd(i));
}

function readCount(text: string): number {
  return /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
}

/** `XREAD [COUNT n] [BLOCK ms] STREAMS key… id…`; `XREADGROUP GROUP g c … [NOACK] STREAMS …`. */
function checkStreams(role: Role, request: RequestParser): Denial | undefined {
  const { argc } = request;
  let at = 1;
  // Options are read as Redis does, for a group may be called STREAMS.
  for (;;) {
    if (at >= argc) return 'arguments';
    const word = request.argEnd(at) - request.argStart(at) > 8 ? '' : request.text(at);
    const option = word.toUpperCase();
    if (option === 'STREAMS') break;
    if (option === 'COUNT' || option === 'BLOCK') at += 2;
    else if (option === 'GROUP') at += 3;
    else if (option === 'NOACK') at += 1;
    else return 'arguments';
  }
  const names = argc - at - 1;
  if (names < 2 || names % 2 !== 0) return 'arguments';
  for (let i = at + 1; i <= at + names / 2; i++) if (!isKey(role, request, i)) return 'key';
  return undefined;
}

/** `SCAN cursor MATCH pattern …`: without a pattern it would tell of the keys of others. */
function checkScan(role: Role, request: RequestParser): Denial | undefined {
  const { argc } = request;
  let match: string | undefined;
  for (let i = 2; i < argc; i += 2) {
    if (i + 1 >= argc) return 'arguments';
    const option = request.argEnd(i) - request.argStart(i) > 8 ? '' : request.text(i).toUpperCase();
    if (option === 'MATCH') {
      if (match !== undefined) return 'arguments';
      match = request.text(i + 1);
    } else if (option !== 'COUNT' && option !== 'TYPE') return 'arguments';
  }
  return match !== undefined && isScanAllowed(role, match) ? undefined : 'key';
}
