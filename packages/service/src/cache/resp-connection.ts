import type { Duplex } from 'node:stream';
import { UnavailableError } from '../unavailable-error.ts';
import { RespError, RespReader, type RespReply } from './resp-reply.ts';

/** One connection that speaks RESP: replies come in the order of requests. */
export interface RespConnection {
  /** Sends a command; rejects with RespError where it is refused, UnavailableError without answer. */
  send(args: readonly (string | Uint8Array)[]): Promise<RespReply>;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;
  readonly isOpen: () => boolean;
  close(): void;
}

/** What goes with a connection. */
export interface RespConnectionOptions {
  /** Told of pushes (RESP3): `['message', channel, bytes]`. */
  readonly onPush?: (push: readonly RespReply[]) => void;
  /** Milliseconds until a command without an answer ends the connection; 5000 unless told. */
  readonly timeoutMs?: number;
}

interface Waiting {
  readonly resolve: (reply: RespReply) => void;
  readonly reject: (error: Error) => void;
  readonly since: number;
}

/** Speaks RESP over a socket that is connected. */
export function openRespConnection(
  socket: Duplex,
  { onPush, timeoutMs = 5000 }: RespConnectionOptions = {},
): RespConnection {
  const reader = new RespReader();
  let waiting: Waiting[] = [];
  let isOpen = true;
  const ended = Promise.withResolvers<void>();
  const end = (code: 'unreachable' | 'timeout' | 'bad_answer', cause?: unknown): void => {
    if (!isOpen) return;
    isOpen = false;
    clearInterval(timer);
    socket.destroy();
    const lost = waiting;
    waiting = [];
    for (const { reject } of lost) reject(new UnavailableError(code, 'cache', { cause }));
    ended.resolve();
  };
  // One timer for all: a connection whose oldest command gets no answer is given up.
  const timer = setInterval(
    () => {
      const [oldest] = waiting;
      if (oldest !== undefined && performance.now() - oldest.since > timeoutMs) end('timeout');
    },
    Math.max(10, timeoutMs / 4),
  );
  timer.unref();
  socket.on('error', (error) => end('unreachable', error));
  socket.on('close', () => end('unreachable'));
  socket.on('end', () => end('unreachable'));
  socket.on('data', (chunk: Buffer) => {
    reader.push(chunk);
    try {
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
        const { reply, isPush } = frame;
        if (isPush) {
          if (Array.isArray(reply)) take(reply);
          continue;
        }
        const first = waiting.shift();
        if (first === undefined) end('bad_answer');
        else if (reply instanceof RespError) first.reject(reply);
        else first.resolve(reply);
      }
    } catch (error) {
      end('bad_answer', error);
    }
  });
  // Who made the socket may have left it paused, that nothing of it gets lost.
  socket.resume();
  /** In RESP3 the answer to SUBSCRIBE is a push as well. */
  const take = (push: readonly RespReply[]): void => {
    const [kind] = push;
    const name = kind instanceof Uint8Array ? kind.toString('latin1') : '';
    if (name === 'subscribe' || name === 'unsubscribe') waiting.shift()?.resolve(null);
    else onPush?.(push);
  };
  return {
    send: (args) =>
      new Promise((resolve, reject) => {
        if (!isOpen) {
          reject(new UnavailableError('unreachable', 'cache'));
          return;
        }
        waiting.push({ resolve, reject, since: performance.now() });
        socket.write(encodeCommand(args));
      }),
    closed: ended.promise,
    isOpen: () => isOpen,
    close: () => end('unreachable'),
  };
}

function encodeCommand(args: readonly (string | Uint8Array)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`, 'latin1')];
  for (const arg of args) {
    const bytes = typeof arg === 'string' ? Buffer.from(arg, 'utf8') : arg;
    parts.push(Buffer.from(`$${bytes.length}\r\n`, 'latin1'), asBuffer(bytes), CRLF);
  }
  return Buffer.concat(parts);
}

const CRLF = Buffer.from('\r\n', 'latin1');

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
