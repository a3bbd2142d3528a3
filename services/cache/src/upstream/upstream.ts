import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { MalformedError } from '@cloister/bytes';
import {
  openRespConnection,
  RespError,
  UnavailableError,
  type RespConnection,
  type RespReply,
} from '@cloister/service';
import type { Role } from '../access/role.ts';
import { encodeRequest } from '../resp/encode.ts';
import { REPLY, ReplyScanner } from '../resp/reply-scanner.ts';
import { connectRedis, type RedisAddress } from './redis-address.ts';

const LOGIN_MS = 3000;

/** Redis behind the gate, with a user of its own for every role. */
export interface Upstream {
  /** The version that Redis gives of itself. */
  readonly version: string;
  /** A connection for a role: logged in, paused, nothing of it read beyond the login. */
  open(role: Role, protocol: 2 | 3): Promise<Socket>;
  /** Gives Redis the users of these roles; connections of roles that changed are ended by Redis. */
  setRoles(roles: readonly Role[]): Promise<void>;
  /** Whether Redis answers now. */
  isReachable(): Promise<boolean>;
  /** Takes the users away again. */
  close(): Promise<void>;
}

/**
 * Makes the users of this gate in Redis, by `ACL SETUSER`, with passwords that exist only in this
 * process: should the gate err, Redis itself still holds a role to its keys and commands. The
 * users are made again when Redis has forgotten them. Throws UnavailableError.
 */
export async function openUpstream(
  address: RedisAddress,
  roles: readonly Role[],
): Promise<Upstream> {
  const gate = randomBytes(6).toString('hex');
  const password = randomBytes(32).toString('hex');
  const userOf = (role: Role): string => `cloister-${gate}-${role.name}`;
  let known = roles;
  const administer = async <T>(work: (redis: RespConnection) => Promise<T>): Promise<T> => {
    const redis = openRespConnection(await connectRedis(address), { timeoutMs: LOGIN_MS });
    try {
      return await work(redis);
    } catch (error) {
      if (!(error instanceof RespError)) throw error;
      throw new UnavailableError('bad_answer', `redis: ${error.code}`, { cause: error });
    } finally {
      redis.close();
    }
  };
  const makeUsers = (wanted: readonly Role[]): Promise<void> =>
    administer(async (redis) => {
      const offered = namesOf(await redis.send(['COMMAND', 'LIST']));
      for (const role of wanted)
        await redis.send(['ACL', 'SETUSER', userOf(role), ...rulesFor(role, password, offered)]);
    });
  const dropUsers = (unwanted: readonly Role[]): Promise<void> =>
    administer(async (redis) => {
      if (unwanted.length > 0) await redis.send(['ACL', 'DELUSER', ...unwanted.map(userOf)]);
    });
  await makeUsers(roles);
  const version = await administer(async (redis) =>
    versionOf(await redis.send(['INFO', 'server'])),
  );
  return {
    version,
    async open(role, protocol) {
      const login = { user: userOf(role), password, protocol };
      const first = await logIn(await connectRedis(address), login);
      if (first !== undefined) return first;
      // Redis was restarted: it has forgotten its users.
      await makeUsers(known);
      const second = await logIn(await connectRedis(address), login);
      if (second === undefined) throw new UnavailableError('bad_answer', 'redis: login');
      return second;
    },
    async setRoles(next) {
      const gone = known.filter(({ name }) => !next.some((role) => role.name === name));
      known = next;
      await makeUsers(next);
      await dropUsers(gone);
    },
    isReachable: () =>
      administer((redis) => redis.send(['PING'])).then(
        () => true,
        () => false,
      ),
    close: () => dropUsers(known),
  };
}

/** The rules of a role's user: what the gate itself allows, as far as this Redis has it. */
function rulesFor(role: Role, password: string, offered: ReadonlySet<string>): string[] {
  const commands = Array.from(role.commands, ({ name }) => name).filter((name) =>
    offered.has(name.split('|')[0] ?? ''),
  );
  return [
    'reset',
    'on',
    `>${password}`,
    'resetchannels',
    ...role.keys.map(({ text }) => `~${text}`),
    ...role.channels.map(({ text }) => `&${text}`),
    '-@all',
    '+hello',
    ...commands.toSorted().map((name) => `+${name}`),
  ];
}

function namesOf(reply: RespReply): Set<string> {
  const items = Array.isArray(reply) ? reply : [];
  return new Set(items.map((item) => (item instanceof Uint8Array ? item.toString('latin1') : '')));
}

function versionOf(reply: RespReply): string {
  const text = reply instanceof Uint8Array ? reply.toString('latin1') : '';
  return /^redis_version:([\d.]{1,20})\r?$/m.exec(text)?.[1] ?? '7.0.0';
}

/** Logs in; undefined where Redis does not know the user. */
async function logIn(
  socket: Socket,
  login: { readonly user: string; readonly password: string; readonly protocol: 2 | 3 },
): Promise<Socket | undefined> {
  const { user, password, protocol } = login;
  const scanner = new ReplyScanner();
  socket.write(
    encodeRequest(
      protocol === 3 ? ['HELLO', '3', 'AUTH', user, password] : ['AUTH', user, password],
    ),
  );
  return new Promise((resolve, reject) => {
    const finish = (failure?: 'unreachable' | 'timeout' | 'bad_answer'): void => {
      socket.off('data', take).off('error', lose).off('close', lose).off('timeout', stall);
      socket.setTimeout(0);
      socket.pause();
      if (failure !== undefined) {
        socket.destroy();
        reject(new UnavailableError(failure, 'redis'));
      } else if (scanner.type === REPLY.ERROR) {
        socket.destroy();
        resolve(undefined);
      } else resolve(socket);
    };
    const lose = (): void => finish('unreachable');
    const stall = (): void => finish('timeout');
    const take = (chunk: Buffer): void => {
      try {
        const end = scanner.next(chunk, 0);
        // Nothing was asked but the login: no byte can follow its answer.
        if (end >= 0) finish(end === chunk.length ? undefined : 'bad_answer');
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error;
        finish('bad_answer');
      }
    };
    socket.setTimeout(LOGIN_MS, stall);
    socket.on('data', take).on('error', lose).on('close', lose);
  });
}
