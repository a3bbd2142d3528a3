import type { RedisLink } from './redis-link.ts';
import type { RespReply } from './resp-reply.ts';

/** A Redis in memory with the few commands that a cache sends, which the test can tamper with. */
export interface FakeRedis {
  readonly link: RedisLink;
  readonly values: Map<string, Buffer>;
  readonly sent: string[][];
  /** Published so far: channel and message. */
  readonly published: (readonly [string, Buffer])[];
  /** Says a message on a channel, as the host can. */
  say(channel: string, message: Uint8Array): void;
  failure: Error | undefined;
}

export function createFakeRedis(): FakeRedis {
  const values = new Map<string, Buffer>();
  const counters = new Map<string, number>();
  const listeners = new Map<string, Set<(message: Uint8Array) => void>>();
  const sent: string[][] = [];
  const published: (readonly [string, Buffer])[] = [];
  const state: { failure: Error | undefined } = { failure: undefined };
  const say = (channel: string, message: Uint8Array): void => {
    for (const listener of listeners.get(channel) ?? []) listener(message);
  };
  const answer = (args: readonly Buffer[]): RespReply => {
    const [command = '', key = ''] = args.map(String);
    switch (command) {
      case 'GET':
        return values.get(key) ?? null;
      case 'SET':
        values.set(key, Buffer.from(args[2] ?? []));
        return 'OK';
      case 'DEL':
        for (const name of args.slice(1)) values.delete(String(name));
        return 1;
      case 'INCRBY': {
        const sum = (counters.get(key) ?? 0) + Number(String(args[2]));
        counters.set(key, sum);
        return sum;
      }
      case 'PUBLISH': {
        const message = Buffer.from(args[2] ?? []);
        published.push([key, message]);
        say(key, message);
        return 1;
      }
      default:
        return 1;
    }
  };
  return Object.assign(state, {
    values,
    sent,
    published,
    say,
    link: {
      send: async (args: readonly (string | Uint8Array)[]) => {
        if (state.failure !== undefined) throw state.failure;
        sent.push(args.map((arg) => (typeof arg === 'string' ? arg : '<bytes>')));
        return answer(args.map((arg) => Buffer.from(arg)));
      },
      subscribe: async (channel: string, listener: (message: Uint8Array) => void) => {
        const heard = listeners.get(channel) ?? new Set();
        listeners.set(channel, heard.add(listener));
        return async () => void heard.delete(listener);
      },
      close: async () => undefined,
    },
  });
}
