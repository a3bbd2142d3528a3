import type { Denial } from '../access/check-request.ts';
import { encodeBulk, encodeError, encodeInteger, encodeMap, encodeSimple } from '../resp/encode.ts';
import type { RequestParser } from '../resp/request-parser.ts';
import type { Ending } from './gate-deps.ts';

/** What a login shows: a token, and the name that may go with it. */
export interface Login {
  readonly user: string | undefined;
  readonly token: string;
}

/** A HELLO that was understood. */
export interface Hello {
  /** The protocol to speak from now on; absent: as before. */
  readonly protocol?: 2 | 3;
  readonly login?: Login;
  readonly name?: string;
}

/** What the gate remembers of a session for the commands that it answers itself. */
export interface SessionFacts {
  readonly id: number;
  readonly protocol: 2 | 3;
  readonly name: string;
  /** The version that Redis gave. */
  readonly version: string;
}

export const ANSWERS = {
  ok: encodeSimple('OK'),
  noAuth: encodeError('NOAUTH Authentication required.'),
  noProtocol: encodeError('NOPROTO unsupported protocol version'),
  helloFirst: encodeError(
    'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
  ),
  syntax: encodeError('ERR syntax error'),
  arguments: encodeError('ERR wrong number of arguments'),
  unavailable: encodeError('ERR the cache cannot be reached'),
  tooMany: encodeError('ERR max number of clients reached'),
  otherDatabase: encodeError('ERR there is one database: 0'),
  aborted: encodeError('EXECABORT Transaction discarded because of previous errors.'),
  notInTransaction: encodeError('ERR not possible in a transaction'),
  subscribed: encodeError(
    'ERR only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT are allowed in this context',
  ),
  tooManySubscriptions: encodeError('ERR too many subscriptions'),
  otherRole: encodeError('WRONGPASS a connection keeps its role'),
} as const;

/** What a command is told that came after the end of its admission. */
export const ENDED: Readonly<Record<Ending, Buffer>> = {
  expired: encodeError('NOAUTH the token has expired'),
  lease: encodeError('NOAUTH the token is older than the lease'),
  manifest: encodeError('NOAUTH the token names a manifest that is no longer in force'),
};

/** Reads `AUTH token` or `AUTH user token`. */
export function readAuth(request: RequestParser): Login | undefined {
  if (request.argc === 2) return { user: undefined, token: request.text(1) };
  if (request.argc === 3) return { user: request.text(1), token: request.text(2) };
  return undefined;
}

/** Reads `HELLO [2|3 [AUTH user token] [SETNAME name]]`, or gives the answer that refuses it. */
export function readHello(request: RequestParser): Hello | Buffer {
  const { argc } = request;
  if (argc === 1) return {};
  const version = request.text(1);
  if (version !== '2' && version !== '3') return ANSWERS.noProtocol;
  let hello: Hello = { protocol: version === '3' ? 3 : 2 };
  for (let at = 2; at < argc; ) {
    const option = request.text(at).toUpperCase();
    if (option === 'AUTH' && at + 2 < argc) {
      hello = { ...hello, login: { user: request.text(at + 1), token: request.text(at + 2) } };
      at += 3;
    } else if (option === 'SETNAME' && at + 1 < argc) {
      const name = readName(request.text(at + 1));
      if (name === undefined) return ANSWERS.syntax;
      hello = { ...hello, name };
      at += 2;
    } else return ANSWERS.syntax;
  }
  return hello;
}

/** The answer to HELLO: Redis' version, nothing of its host. */
export function encodeHello({ id, protocol, version }: SessionFacts): Buffer {
  return encodeMap(
    [
      ['server', 'redis'],
      ['version', version],
      ['proto', protocol],
      ['id', id],
      ['mode', 'standalone'],
      ['role', 'master'],
      ['modules', []],
    ],
    protocol,
  );
}

/** An answer of the gate; `denial` where it refuses, `name` where the client gave itself one. */
export interface SessionAnswer {
  readonly answer: Buffer;
  readonly name?: string;
  readonly denial?: Denial;
}

/** Answers what every client may ask, whatever its role. */
export function answerSession(
  command: 'client' | 'info' | 'select',
  request: RequestParser,
  facts: SessionFacts,
): SessionAnswer {
  if (command === 'info') return { answer: encodeInfo(facts) };
  if (command === 'select')
    return request.argc === 2 && request.text(1) === '0'
      ? { answer: ANSWERS.ok }
      : { answer: ANSWERS.otherDatabase, denial: 'arguments' };
  return (
    answerClient(request, facts) ?? { answer: encodeDenied('command', request), denial: 'command' }
  );
}

/**
 * CLIENT SETINFO, SETNAME, GETNAME and ID, which libraries send by themselves: answered here, for
 * Redis need not know its clients (and 7.0 lacks SETINFO). All else of CLIENT is refused.
 */
function answerClient(request: RequestParser, facts: SessionFacts): SessionAnswer | undefined {
  const sub = request.argc > 1 ? request.text(1).toUpperCase() : '';
  if (sub === 'SETINFO' && request.argc === 4) return { answer: ANSWERS.ok };
  if (sub === 'ID' && request.argc === 2) return { answer: encodeInteger(facts.id) };
  if (sub === 'GETNAME' && request.argc === 2)
    return { answer: encodeBulk(facts.name === '' ? null : facts.name, facts.protocol) };
  if (sub === 'SETNAME' && request.argc === 3) {
    const name = readName(request.text(2));
    return name === undefined ? { answer: ANSWERS.syntax } : { answer: ANSWERS.ok, name };
  }
  return undefined;
}

/** What ready checks of clients look at in INFO, and nothing else. */
function encodeInfo({ version, protocol }: SessionFacts): Buffer {
  const lines = [
    '# Server',
    `redis_version:${version}`,
    'redis_mode:standalone',
    '# Persistence',
    'loading:0',
    '# Replication',
    'role:master',
    '',
  ];
  return encodeBulk(lines.join('\r\n'), protocol);
}

/** The refusal of a command by its name, which is written only if it looks like one. */
export function encodeDenied(denial: Denial, request: RequestParser): Buffer {
  const given = request.argEnd(0) - request.argStart(0) > 32 ? '' : request.text(0).toLowerCase();
  const name = /^[a-z_-]+$/.test(given) ? `the '${given}'` : 'this';
  switch (denial) {
    case 'command':
      return encodeError(`NOPERM this user has no permissions to run ${name} command`);
    case 'key':
      return encodeError(
        'NOPERM this user has no permissions to access one of the keys used as arguments',
      );
    case 'channel':
      return encodeError(
        'NOPERM this user has no permissions to access one of the channels used as arguments',
      );
    case 'arguments':
      return encodeError(`ERR wrong arguments for ${name} command`);
    default:
      return denial satisfies never;
  }
}

/** Names of clients, as Redis has them: no spaces, nothing that is not printed. */
function readName(text: string): string | undefined {
  return /^[!-~]{0,64}$/.test(text) ? text : undefined;
}
