import type { EvidenceClaims } from '@cloister/attestation';
import { encodeBase64, encodeHex, type Bytes } from '@cloister/bytes';
import type { Jwk } from '@cloister/crypto';
import { RcarError } from './rcar-error.ts';

/** What a client proved: its evidence, and the key that the evidence carries. */
export interface AttestedClient {
  readonly claims: EvidenceClaims;
  readonly key: Jwk;
  /** SHA-256 of the evidence, lower hex. */
  readonly evidenceDigest: string;
  /** The manifest by which it was judged: with another one, it has to attest again. */
  readonly manifest: string;
}

/** A session of the RCAR protocol, behind a cookie. */
export interface Session {
  readonly id: string;
  readonly tee: string;
  /** Base64, as the challenge gave it. */
  readonly nonce: string;
  readonly ends: number;
  client: AttestedClient | undefined;
  used: boolean;
}

/** The cookie's name in Trustee's protocol. */
export const COOKIE = 'kbs-session-id';
/** How long a cookie is good, in seconds. */
export const SESSION_SECONDS = 300;
const CAPACITY = 10_000;

/** Sessions of foreign clients: in memory, short, each with one nonce for one attestation. */
export class Sessions {
  readonly #sessions = new Map<string, Session>();
  readonly #random: (length: number) => Bytes;
  readonly #now: () => number;

  constructor(random: (length: number) => Bytes, now: () => number) {
    this.#random = random;
    this.#now = now;
  }

  /** A new session with a fresh challenge. */
  open(tee: string): Session {
    const now = this.#now();
    for (const [id, { ends }] of this.#sessions) {
      if (ends > now && this.#sessions.size < CAPACITY) break;
      this.#sessions.delete(id);
    }
    const session: Session = {
      id: encodeHex(this.#random(16)),
      tee,
      nonce: encodeBase64(this.#random(32)),
      ends: now + SESSION_SECONDS,
      client: undefined,
      used: false,
    };
    this.#sessions.set(session.id, session);
    return session;
  }

  /** The session of a Cookie header; RcarError where there is none that is good. */
  find(header: string | undefined): Session {
    const ids = (header ?? '')
      .split(';')
      .map((part) => part.trim().split('='))
      .filter(([name]) => name === COOKIE)
      .map(([, id = '']) => id);
    const [id] = ids;
    if (id === undefined) throw new RcarError('CookieMissing', 'no session cookie');
    const session = ids.length === 1 ? this.#sessions.get(id) : undefined;
    if (session === undefined) throw new RcarError('CookieUnknown', 'no such session');
    if (session.ends <= this.#now()) throw new RcarError('CookieExpired', 'the session has ended');
    return session;
  }
}
