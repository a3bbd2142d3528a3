import type { RequestLimits } from '../resp/request-parser.ts';

/** How much one connection, and all together, may ask of the gate. */
export interface GateLimits {
  /** Connections at once; one more is told so and closed. */
  readonly connections: number;
  /** Of them, those that have not logged in. */
  readonly fresh: number;
  /** Milliseconds to log in. */
  readonly loginMs: number;
  /** Requests before the login, and refused logins, until the connection is closed. */
  readonly strikes: number;
  /** Milliseconds without a request, where nothing is awaited and nothing subscribed. */
  readonly idleMs: number;
  /** Milliseconds that a client may leave replies unread, or Redis requests. */
  readonly stallMs: number;
  /** Milliseconds that a closing connection waits for replies that are due. */
  readonly closingMs: number;
  /** Requests sent and not answered; more are not read until some were. */
  readonly pending: number;
  /**
   * Requests of one client on a connection to Redis that it shares; who sends more at once gets one
   * of its own. 0: every client has its own.
   */
  readonly shared: number;
  /** Channels and patterns of one connection. */
  readonly subscriptions: number;
  /** Bytes of requests that are not yet whole, of all connections together. */
  readonly unparsed: number;
  /** Requests of those who have not logged in: a token, and no more. */
  readonly before: RequestLimits;
  readonly after: RequestLimits;
}

const MIB = 1 << 20;

/** The limits of spec/cache-and-storage.md 1.3, and those that it leaves open. */
export const LIMITS: GateLimits = {
  connections: 1024,
  fresh: 512,
  loginMs: 10_000,
  strikes: 8,
  idleMs: 600_000,
  stallMs: 30_000,
  closingMs: 1000,
  pending: 65_536,
  shared: 8,
  subscriptions: 1024,
  unparsed: 256 * MIB,
  before: { args: 8, bulk: 32 * 1024, request: 64 * 1024 },
  after: { args: 16_384, bulk: 16 * MIB, request: 17 * MIB },
};
