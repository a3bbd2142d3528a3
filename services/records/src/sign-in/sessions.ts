import { encodeBase64url, encodeHex, encodeUtf8 } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import type { Random } from '@cloister/sealing';
import { RefusedError } from '../refused-error.ts';
import type { Account } from './accounts.ts';

/** Who is signed in. */
export interface Session {
  readonly account: Account;
  /** `Practitioner/<id>`. */
  readonly practitioner: string;
  readonly expires: Date;
}

const LONGEST_MS = 12 * 3600_000;
const IDLE_MS = 15 * 60_000;
const MAX_SESSIONS = 10_000;

interface Kept extends Session {
  lastUsed: number;
}

/** The sessions of this process, known by the hash of their token: a restart ends them all. */
export class Sessions {
  readonly #sessions = new Map<string, Kept>();
  readonly #random: Random;
  readonly #now: () => Date;

  constructor(random: Random, now: () => Date) {
    this.#random = random;
    this.#now = now;
  }

  /** Begins a session of at most 12 hours, 15 minutes where it is idle. */
  async begin(
    account: Account,
    practitioner: string,
  ): Promise<{ readonly token: string; readonly session: Session }> {
    const at = this.#now().getTime();
    for (const [key, kept] of this.#sessions) if (ended(kept, at)) this.#sessions.delete(key);
    if (this.#sessions.size >= MAX_SESSIONS) throw new RefusedError('throttled');
    const token = encodeBase64url(this.#random(32));
    const session = { account, practitioner, expires: new Date(at + LONGEST_MS), lastUsed: at };
    this.#sessions.set(await keyOf(token), session);
    return { token, session };
  }

  /**
   * The session of an `Authorization` header; RefusedError `not_signed_in` where there is none.
   * What a page does by itself (`touch: false`) does not keep a session alive.
   */
  async of(authorization: string | undefined, { touch = true } = {}): Promise<Session> {
    const token = /^Bearer ([\w-]{43})$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) throw new RefusedError('not_signed_in');
    const key = await keyOf(token);
    const kept = this.#sessions.get(key);
    const at = this.#now().getTime();
    if (kept === undefined || ended(kept, at)) {
      this.#sessions.delete(key);
      throw new RefusedError('not_signed_in');
    }
    if (touch) kept.lastUsed = at;
    return kept;
  }

  /** Ends the session of an `Authorization` header. */
  async end(authorization: string | undefined): Promise<void> {
    const token = /^Bearer ([\w-]{43})$/i.exec(authorization ?? '')?.[1] ?? '';
    this.#sessions.delete(await keyOf(token));
  }
}

const ended = ({ expires, lastUsed }: Kept, at: number): boolean =>
  at >= expires.getTime() || at - lastUsed >= IDLE_MS;

const keyOf = async (token: string): Promise<string> => encodeHex(await sha256(encodeUtf8(token)));
