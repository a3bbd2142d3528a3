import type { Duplex } from 'node:stream';
import { UnavailableError } from '../unavailable-error.ts';
import { openRespConnection, type RespConnection } from './resp-connection.ts';
import type { RespReply } from './resp-reply.ts';

/** A way to Redis that is made again when it was lost. */
export interface RedisLink {
  /** Sends a command, after connecting where that is needed. */
  send(args: readonly (string | Uint8Array)[]): Promise<RespReply>;
  /**
   * Hears a channel, on this connection and those that follow it; where there is no way now, from
   * when there is one. Rejects with RespError where the channel is refused.
   */
  subscribe(channel: string, listener: (message: Uint8Array) => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** How a link connects and logs in. */
export interface RedisLinkOptions {
  /** Connects to the gate, having verified that it is one; see `connectToGate`. */
  readonly connect: () => Promise<Duplex>;
  /** The attestation token of this service, good for some time yet; asked for again and again. */
  readonly token: () => Promise<string>;
  /** How often a newer token is looked for, in milliseconds; 60 000 unless told. */
  readonly renewMs?: number;
  /** Milliseconds until a command without an answer counts as lost; 5000 unless told. */
  readonly timeoutMs?: number;
  /** Told when a token was refused, or the link was lost. */
  readonly onLost?: (error: unknown) => void;
}

/** After a failure nothing is tried for so long: who wants the cache is told at once. */
const BACKOFF_MS = 500;

/**
 * Connects when first needed, with `HELLO 3 AUTH` and the token as password, and again after a
 * loss. The token is renewed on the live connection before the old one ends. Commands reject with
 * UnavailableError where there is no way.
 */
export function createRedisLink(options: RedisLinkOptions): RedisLink {
  const { renewMs = 60_000, onLost } = options;
  const listeners = new Map<string, Set<(message: Uint8Array) => void>>();
  let current: Promise<RespConnection> | undefined;
  let failedAt = -Infinity;
  let isClosed = false;
  let renewal: NodeJS.Timeout | undefined;
  let relistening: NodeJS.Timeout | undefined;

  const hear = (push: readonly RespReply[]): void => {
    const [kind, channel, message] = push.map((part) =>
      part instanceof Uint8Array ? part : undefined,
    );
    if (kind?.toString('latin1') !== 'message' || channel === undefined || message === undefined)
      return;
    for (const listener of listeners.get(channel.toString('utf8')) ?? []) listener(message);
  };
  const drop = (error: unknown): void => {
    current = undefined;
    failedAt = performance.now();
    clearTimeout(renewal);
    if (!isClosed) onLost?.(error);
  };
  const renew = async (connection: RespConnection, old: string): Promise<void> => {
    let token = old;
    try {
      token = await options.token();
      if (token !== old) await connection.send(['AUTH', token]);
    } catch (error) {
      // The old token may still be good: the gate says when it is not.
      onLost?.(error);
    }
    if (connection.isOpen()) schedule(connection, token);
  };
  const schedule = (connection: RespConnection, token: string): void => {
    renewal = setTimeout(() => void renew(connection, token), renewMs);
    renewal.unref();
  };
  const connect = async (): Promise<RespConnection> => {
    const token = await options.token();
    const connection = openRespConnection(await options.connect(), {
      onPush: hear,
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    });
    try {
      await connection.send(['HELLO', '3', 'AUTH', 'default', token]);
      for (const channel of listeners.keys()) await connection.send(['SUBSCRIBE', channel]);
    } catch (error) {
      connection.close();
      throw error;
    }
    schedule(connection, token);
    return connection;
  };
  const connected = (): Promise<RespConnection> => {
    if (current !== undefined) return current;
    if (isClosed) return Promise.reject(new UnavailableError('shutting_down', 'cache'));
    if (performance.now() - failedAt < BACKOFF_MS)
      return Promise.reject(new UnavailableError('unreachable', 'cache'));
    const attempt = connect();
    current = attempt;
    const lost = (error: unknown): void => {
      if (current === attempt) drop(error);
      // Whoever listens wants to hear again, without asking.
      listenLater();
    };
    attempt.then(
      (connection) =>
        connection.closed.then(() => lost(new UnavailableError('unreachable', 'cache'))),
      lost,
    );
    return attempt;
  };
  const listenLater = (): void => {
    if (listeners.size === 0 || isClosed) return;
    relistening ??= setTimeout(() => {
      relistening = undefined;
      // Also where it is too soon for the next attempt by a hair: timers are not that exact.
      connected().catch(listenLater);
    }, BACKOFF_MS).unref();
  };
  const listen = async (channel: string): Promise<void> => {
    try {
      await (await reach()).send(['SUBSCRIBE', channel]);
    } catch (error) {
      if (error instanceof UnavailableError) {
        listenLater();
        return;
      }
      listeners.delete(channel);
      throw error;
    }
  };
  const reach = async (): Promise<RespConnection> => {
    try {
      return await connected();
    } catch (cause) {
      if (cause instanceof UnavailableError) throw cause;
      throw new UnavailableError('unreachable', 'cache', { cause });
    }
  };
  return {
    send: async (args) => (await reach()).send(args),
    async subscribe(channel, listener) {
      const heard = listeners.get(channel);
      if (heard === undefined) {
        listeners.set(channel, new Set([listener]));
        await listen(channel);
      } else heard.add(listener);
      return async () => {
        const rest = listeners.get(channel);
        rest?.delete(listener);
        if (rest?.size !== 0) return;
        listeners.delete(channel);
        const connection = await current;
        if (connection?.isOpen() === true) await connection.send(['UNSUBSCRIBE', channel]);
      };
    },
    async close() {
      isClosed = true;
      clearTimeout(renewal);
      clearTimeout(relistening);
      const connection = await current?.catch(() => undefined);
      connection?.close();
    },
  };
}
