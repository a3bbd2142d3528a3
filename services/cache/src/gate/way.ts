import type { Duplex } from 'node:stream';
import type { CommandSpec } from '../access/command-table.ts';
import { Outlet } from './outlet.ts';

/** What a way to Redis tells the connection that uses it. */
export interface WayEvents {
  /** Bytes of replies, those of this connection alone and in the order of its requests. */
  readonly take: (bytes: Buffer) => void;
  /** Redis reads again after it did not. */
  readonly drained: () => void;
  /** There will be no more replies. */
  readonly lost: () => void;
}

/** The way of one client's requests to Redis. */
export interface Way {
  /**
   * Whether others use it too: then nothing may go over it that leaves a state in Redis' connection
   * or keeps others waiting, and it reads on when this client does not.
   */
  readonly isShared: boolean;
  readonly isFull: boolean;
  /** Whether Redis has not read for longer than so many milliseconds. */
  isStalled(now: number, forMs: number): boolean;
  /** Sends so many whole requests. */
  send(requests: Buffer, count: number): void;
  /** Reads replies, or lets them wait; without effect where the way is shared. */
  letRead(reads: boolean): void;
  close(): void;
}

/** A connection to Redis for one client alone; `socket` is logged in and paused. */
export function ownWay(socket: Duplex, now: () => number, events: WayEvents): Way {
  const outlet = new Outlet(socket, now, events.drained);
  socket.on('data', events.take);
  for (const event of ['end', 'error', 'close']) socket.on(event, events.lost);
  return {
    isShared: false,
    get isFull() {
      return outlet.isFull;
    },
    isStalled: (at, forMs) => outlet.isStalled(at, forMs),
    send: (requests) => outlet.write(requests),
    letRead: (reads) => letRead(socket, reads),
    close: () => void socket.destroy(),
  };
}

/** Larger requests keep others waiting. */
const MAX_SHARED_BYTES = 64 * 1024;

/** Whether a request of so many bytes may go over a way that others use: it leaves no state. */
export function mayShare({ name, categories }: CommandSpec, bytes: number): boolean {
  if (bytes > MAX_SHARED_BYTES || categories.has('blocking')) return false;
  return !categories.has('transaction') && (!categories.has('pubsub') || name === 'publish');
}

/** Starts or stops the reading of a stream. */
export function letRead(stream: Duplex, reads: boolean): void {
  if (reads !== stream.isPaused()) return;
  if (reads) stream.resume();
  else stream.pause();
}
