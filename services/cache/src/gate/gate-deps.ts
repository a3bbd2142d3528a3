import type { Duplex } from 'node:stream';
import type { VerifiedCaller } from '@cloister/attestation';
import type { Denial } from '../access/check-request.ts';
import type { Role } from '../access/role.ts';
import type { GateLimits } from './limits.ts';
import type { Login } from './session.ts';
import type { Way, WayEvents } from './way.ts';

/** What ends an admission: the token, the lease since its head, or the bridge from a manifest. */
export type Ending = 'expired' | 'lease' | 'manifest';

/** When an admission ends, and by what. */
export interface AdmissionEnd {
  /** Milliseconds since 1970. */
  readonly expires: number;
  readonly ending: Ending;
}

/** What a token has earned: a role, for as long as the token, its head and the manifest last. */
export interface Admission extends AdmissionEnd {
  readonly role: Role;
  readonly caller: VerifiedCaller;
  /** Of the newest head of the own party that the token names; seconds since 1970. */
  readonly headTime: number;
}

/** What came of a login; the code says which check failed. */
export type LoginVerdict =
  | { readonly ok: true; readonly admission: Admission }
  | { readonly ok: false; readonly code: string };

/** Why a connection ended. Stable: metrics count by it. */
export type CutReason =
  | 'ended'
  | 'login_timeout'
  | 'strikes'
  | 'protocol'
  | Ending
  | 'slow_reader'
  | 'idle'
  | 'memory'
  | 'upstream_lost'
  | 'upstream_stalled'
  | 'upstream_confused'
  | 'unavailable'
  | 'shutdown';

/** What the gate counts: plain numbers on the way of every request, events for what is rare. */
export interface GateStats {
  requests: number;
  bytesIn: number;
  bytesOut: number;
  /** Bytes of requests that are not yet whole, of all connections. */
  unparsed: number;
  denied(code: Denial | 'protocol'): void;
  login(code: string): void;
  cut(reason: CutReason): void;
}

/** What a gate is made of. */
export interface GateDeps {
  readonly limits: GateLimits;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Judges a token together with the digest of the TLS key that the client has shown. */
  readonly authenticate: (login: Login, tls: string | undefined) => Promise<LoginVerdict>;
  /** A connection to Redis, logged in for this role, paused. */
  readonly openUpstream: (role: Role, protocol: 2 | 3) => Promise<Duplex>;
  /** The version of Redis. */
  readonly version: string;
  readonly stats: GateStats;
  /** Told when the world failed: Redis, or the issuer of tokens. */
  readonly onFault: (error: unknown) => void;
}

/** What the connections of a gate share. */
export interface ConnectionDeps extends GateDeps {
  /** A way to Redis: shared with others of the role, or the client's own. */
  readonly openWay: (
    role: Role,
    protocol: 2 | 3,
    use: WayEvents & { readonly shared: boolean },
  ) => Promise<Way>;
}
