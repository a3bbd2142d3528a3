import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { ConfigError, UnavailableError } from '@cloister/service';

/** Where Redis listens: a UNIX socket, or a port of this machine. */
export type RedisAddress =
  | { readonly path: string }
  | { readonly host: '127.0.0.1' | '::1'; readonly port: number };

const CONNECT_MS = 3000;

/**
 * Reads `unix:/run/redis.sock` or `redis://127.0.0.1:6379`. Anywhere else Redis would be outside
 * the TEE in which the gate's TLS ends, and its password would be on the wire: ConfigError.
 */
export function parseRedisAddress(text: string): RedisAddress {
  const path = /^unix:(?:\/\/)?(\/.{1,100})$/.exec(text)?.[1];
  if (path !== undefined) return { path };
  const tcp = /^redis:\/\/(127\.0\.0\.1|\[::1\]|localhost)(?::(\d{1,5}))?\/?$/.exec(text);
  const port = Number(tcp?.[2] ?? 6379);
  if (tcp === null || port < 1 || port > 65_535)
    throw new ConfigError('redis: a UNIX socket or a port of this machine is needed');
  return { host: tcp[1] === '[::1]' ? '::1' : '127.0.0.1', port };
}

/** Connects to Redis. Throws UnavailableError. */
export function connectRedis(address: RedisAddress): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...address, noDelay: true });
    const fail = (cause?: unknown): void => {
      socket.destroy();
      reject(new UnavailableError('unreachable', 'redis', { cause }));
    };
    socket.setTimeout(CONNECT_MS, fail);
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('timeout', fail);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}
