import { duplexPair, type Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { VerifiedCaller } from '@cloister/attestation';
import { parseRole } from '../access/role.ts';
import { createGateStats, type CountingStats } from '../counting-stats.test.ts';
import { encodeRequest } from '../resp/encode.ts';
import type { Ending, LoginVerdict } from './gate-deps.ts';
import { createGate, type Gate } from './gate.ts';
import { LIMITS, type GateLimits } from './limits.ts';
import type { Login } from './session.ts';

/** One end of a connection, as text. */
export interface End {
  readonly stream: Duplex;
  /** All that came since it was asked last. */
  read(): string;
  write(...pieces: readonly (string | readonly string[])[]): void;
  readonly isEnded: () => boolean;
}

/** A gate with one client, and a Redis that answers what the test says; nothing is shared unless told. */
export interface Stage {
  readonly gate: Gate;
  readonly stats: CountingStats;
  readonly client: End;
  /** The other end of the connection to Redis; there is one from the login on. */
  readonly redis: () => End;
  /** All of those connections so far. */
  readonly connections: readonly End[];
  /** Logins that wait for `judge`. */
  readonly logins: Login[];
  judge(
    verdict?: Partial<{
      expires: number;
      ending: Ending;
      role: string;
      rules: string;
      refuse: string;
    }>,
  ): Promise<void>;
  /** Logs in with AUTH, and takes the answer. */
  logIn(protocol?: 2 | 3): Promise<void>;
  now: number;
}

/** Lets everything happen that was set off. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 8; i++) await setImmediate();
}

export const START = 1_000_000;
export const RULES = '~r:* &r:* +@read +@write +@pubsub +@transaction +@blocking';

export function createStage(
  limits: Partial<GateLimits> = {},
  options: { readonly openFails?: boolean; readonly highWaterMark?: number } = {},
): Stage {
  const stats = createGateStats();
  const logins: Login[] = [];
  let waiting: ((verdict: LoginVerdict) => void) | undefined;
  const streamOptions =
    options.highWaterMark === undefined ? {} : { highWaterMark: options.highWaterMark };
  const [near, far] = duplexPair(streamOptions);
  const connections: End[] = [];
  const stage = { now: START };
  const gate = createGate({
    limits: { ...LIMITS, shared: 0, ...limits },
    now: () => stage.now,
    authenticate: (login) => {
      logins.push(login);
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
    openUpstream: async () => {
      if (options.openFails === true) throw new Error('no Redis');
      const [gateEnd, redisEnd] = duplexPair(streamOptions);
      connections.push(endOf(redisEnd));
      gateEnd.pause();
      return gateEnd;
    },
    version: '7.0.15',
    stats,
    onFault: () => undefined,
  });
  gate.accept(near, 'aa');
  const client = endOf(far);
  const judge: Stage['judge'] = async (verdict = {}) => {
    const { role = 'records', rules = RULES, refuse } = verdict;
    const { expires = START + 60_000, ending = 'expired' } = verdict;
    waiting?.(
      refuse === undefined
        ? {
            ok: true,
            admission: {
              role: parseRole(role, rules),
              expires,
              ending,
              caller: {} as VerifiedCaller,
              headTime: START / 1000,
            },
          }
        : { ok: false, code: refuse },
    );
    await settle();
  };
  return Object.assign(stage, {
    gate,
    stats,
    client,
    connections,
    redis: () => connections.at(-1) ?? endOf(duplexPair()[0]),
    logins,
    judge,
    logIn: async (protocol: 2 | 3 = 2) => {
      client.write(protocol === 3 ? ['HELLO', '3', 'AUTH', 'default', 't'] : ['AUTH', 't']);
      await settle();
      await judge();
      client.read();
    },
  });
}

export function endOf(stream: Duplex): End {
  let text = '';
  let isEnded = false;
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  const end = (): void => {
    isEnded = true;
  };
  stream.on('end', end).on('close', end).on('error', end);
  return {
    stream,
    read: () => {
      const all = text;
      text = '';
      return all;
    },
    write: (...pieces) => {
      const bytes = pieces.map((piece) =>
        typeof piece === 'string' ? Buffer.from(piece, 'latin1') : encodeRequest(piece),
      );
      stream.write(Buffer.concat(bytes));
    },
    isEnded: () => isEnded,
  };
}
