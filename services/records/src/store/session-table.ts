import type { JsonObject } from '@cloister/bytes';

/** Under which type the log keeps sessions; the id is the SHA-256 of the token, lower hex. */
export const SESSION_TYPE = 'Session';

/** A session as the log knows it. */
export interface KnownSession {
  /** The version of its newest entry. */
  readonly version: number;
  readonly user: string;
  /** `Practitioner/<id>`. */
  readonly practitioner: string;
  /** Milliseconds since 1970, like the next. */
  readonly expires: number;
  readonly used: number;
}

/** The sessions that have not ended, the same for all replicas: part of the directory. */
export class SessionTable {
  readonly #sessions = new Map<string, KnownSession>();
  #sweptAt = 0;

  get size(): number {
    return this.#sessions.size;
  }

  get(id: string): KnownSession | undefined {
    return this.#sessions.get(id);
  }

  /** Takes in an entry of the log; without a user it ends the session. */
  apply(id: string, version: number, content: JsonObject, at: number): void {
    const { user, practitioner, expires, used } = content;
    if (
      typeof user !== 'string' ||
      typeof practitioner !== 'string' ||
      typeof expires !== 'number' ||
      typeof used !== 'number'
    ) {
      this.#sessions.delete(id);
      return;
    }
    this.#sessions.set(id, { version, user, practitioner, expires, used });
    if (at - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = at;
    for (const [key, session] of this.#sessions)
      if (session.expires <= at) this.#sessions.delete(key);
  }
}

const SWEEP_MS = 60_000;
