import type { Duplex } from 'node:stream';
import { MalformedError } from '@cloister/bytes';
import type { Role } from '../access/role.ts';
import { REPLY, ReplyScanner } from '../resp/reply-scanner.ts';
import { Outlet } from './outlet.ts';
import type { Way, WayEvents } from './way.ts';

/** Whose the next replies are. */
interface Due {
  readonly user: WayEvents;
  count: number;
}

/** The ways to Redis that clients share: one for each role and protocol. */
export interface SharedWays {
  /** Joins the way of a role, which is opened where there is none. */
  join(role: Role, protocol: 2 | 3, events: WayEvents): Promise<Way>;
  close(): void;
}

/**
 * Clients that send one request and wait for its reply share a connection to Redis: what comes
 * from all of them in one turn of the event loop goes to Redis in one write, and their replies
 * come back in one. That halves the system calls of a request, which are most of its cost. Only
 * clients of the same role share, and no request that leaves a state behind or blocks.
 */
export function createSharedWays(
  open: (role: Role, protocol: 2 | 3) => Promise<Duplex>,
  now: () => number,
): SharedWays {
  const lines = new Map<string, Promise<SharedLine>>();
  const lineOf = (role: Role, protocol: 2 | 3): Promise<SharedLine> => {
    // The rules are part of the name: who gets other rules gets another connection.
    const name = `${role.name} ${protocol} ${role.rules}`;
    const known = lines.get(name);
    if (known !== undefined) return known;
    const forget = (): void => {
      if (lines.get(name) === opened) lines.delete(name);
    };
    const opened = open(role, protocol).then((socket) => new SharedLine(socket, now, forget));
    lines.set(name, opened);
    opened.catch(forget);
    return opened;
  };
  return {
    join: async (role, protocol, events) => (await lineOf(role, protocol)).join(events),
    close: () => {
      for (const line of lines.values()) line.then((one) => one.close()).catch(() => undefined);
    },
  };
}

/** One connection to Redis, and those who use it. */
class SharedLine {
  readonly #socket: Duplex;
  readonly #outlet: Outlet;
  readonly #users = new Set<WayEvents>();
  readonly #scanner = new ReplyScanner();
  readonly #forget: () => void;
  #due: Due[] = [];
  #head = 0;
  /** Requests of this turn of the event loop. */
  #batch: Buffer[] = [];
  #isLost = false;

  constructor(socket: Duplex, now: () => number, forget: () => void) {
    this.#socket = socket;
    this.#forget = forget;
    this.#outlet = new Outlet(socket, now, () => {
      for (const user of this.#users) user.drained();
    });
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    for (const event of ['end', 'error', 'close']) socket.on(event, () => this.#lose());
    socket.resume();
  }

  join(user: WayEvents): Way {
    const outlet = this.#outlet;
    if (this.#isLost) queueMicrotask(() => user.lost());
    else this.#users.add(user);
    return {
      isShared: true,
      get isFull() {
        return outlet.isFull;
      },
      isStalled: (at, forMs) => outlet.isStalled(at, forMs),
      send: (requests, count) => this.#send(user, requests, count),
      letRead: () => undefined,
      close: () => this.#leave(user),
    };
  }

  close(): void {
    this.#lose();
  }

  #send(user: WayEvents, requests: Buffer, count: number): void {
    if (this.#isLost) return;
    const last = this.#due.at(-1);
    if (last?.user === user && this.#head < this.#due.length) last.count += count;
    else this.#due.push({ user, count });
    if (this.#batch.push(requests) === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const batch = this.#batch;
    this.#batch = [];
    if (!this.#isLost) this.#outlet.writeAll(batch);
  }

  /** Gives each its own: whole replies, and the beginning of one whose rest is still to come. */
  #take(chunk: Buffer): void {
    let from = 0;
    let at = 0;
    try {
      for (let end = this.#scanner.next(chunk, 0); end >= 0; end = this.#scanner.next(chunk, at)) {
        at = end;
        const first = this.#due[this.#head];
        // Nobody subscribes here, and nobody was promised anything else.
        if (first === undefined || this.#scanner.type === REPLY.PUSH) {
          this.#lose();
          return;
        }
        if (--first.count > 0) continue;
        this.#shift();
        this.#give(first.user, chunk, from, end);
        from = end;
        if (this.#isLost) return;
      }
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.#lose();
      return;
    }
    if (from === chunk.length) return;
    const first = this.#due[this.#head];
    if (first === undefined) this.#lose();
    else this.#give(first.user, chunk, from, chunk.length);
  }

  #give(user: WayEvents, chunk: Buffer, from: number, to: number): void {
    // The replies of those who have left are nobody's.
    if (this.#users.has(user)) user.take(chunk.subarray(from, to));
  }

  #shift(): void {
    this.#head += 1;
    if (this.#head === this.#due.length) {
      this.#due = [];
      this.#head = 0;
    } else if (this.#head > 1024) {
      this.#due = this.#due.slice(this.#head);
      this.#head = 0;
    }
  }

  #leave(user: WayEvents): void {
    this.#users.delete(user);
    // The role's next client opens another one.
    if (this.#users.size === 0) this.#lose();
  }

  #lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#forget();
    this.#socket.destroy();
    const users = [...this.#users];
    this.#users.clear();
    for (const user of users) user.lost();
  }
}
