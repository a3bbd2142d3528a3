import { encodeBase64url, encodeHex, encodeUtf8 } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import type { Random } from '@cloister/sealing';
import { RefusedError } from '../refused-error.ts';
import type { Ledger } from '../store/ledger.ts';
import type { NewEntry } from '../store/sealed-group.ts';
import { type KnownSession, SESSION_TYPE } from '../store/session-table.ts';
import type { Account } from './accounts.ts';

/** Who is signed in. */
export interface Session {
  /** SHA-256 of the token, lower hex: the token itself is kept nowhere. */
  readonly id: string;
  readonly account: Account;
  /** `Practitioner/<id>`. */
  readonly practitioner: string;
  readonly expires: Date;
}

/** A session that begins when its entry is written. */
export interface NewSession {
  readonly token: string;
  readonly session: Session;
  readonly entry: NewEntry;
}

/** What sessions are kept in, and who may have one. */
export interface SessionsOptions {
  readonly ledger: Ledger;
  readonly accounts: readonly Account[];
  readonly random: Random;
  readonly now: () => Date;
}

const LONGEST_MS = 12 * 3600_000;
const IDLE_MS = 15 * 60_000;
/** That a session is used is written so often, and not with every request. */
const TOUCH_MS = 60_000;
const MAX_SESSIONS = 10_000;

/** The sessions, in the log: any replica knows them all, by the hash of their token. */
export class Sessions {
  readonly #options: SessionsOptions;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** A session of at most 12 hours, 15 minutes where it is idle. */
  async create(account: Account, practitioner: string): Promise<NewSession> {
    const { ledger, random, now } = this.#options;
    if (ledger.directory.sessions.size >= MAX_SESSIONS) throw new RefusedError('throttled');
    const used = now().getTime();
    const expires = used + LONGEST_MS;
    const token = encodeBase64url(random(32));
    const id = await hashOf(token);
    const { user } = account;
    return {
      token,
      session: { id, account, practitioner, expires: new Date(expires) },
      entry: {
        type: SESSION_TYPE,
        id,
        content: { user, practitioner, expires, used },
        follows: 0,
      },
    };
  }

  /**
   * The session of an `Authorization` header; RefusedError `not_signed_in` where there is none.
   * What a page does by itself (`touch: false`) does not keep a session alive.
   */
  async of(authorization: string | undefined, { touch = true } = {}): Promise<Session> {
    const token = /^Bearer ([\w-]{43})$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) throw new RefusedError('not_signed_in');
    const id = await hashOf(token);
    const session = this.find(id);
    const known = this.#options.ledger.directory.sessions.get(id);
    if (session === undefined || known === undefined) throw new RefusedError('not_signed_in');
    if (touch) await this.#touch(id, known);
    return session;
  }

  /** The session of that id, while it lasts. */
  find(id: string): Session | undefined {
    const { ledger, accounts, now } = this.#options;
    const known = ledger.directory.sessions.get(id);
    const account = accounts.find(({ user }) => user === known?.user);
    if (known === undefined || account === undefined) return undefined;
    const at = now().getTime();
    if (at >= known.expires || at - known.used >= IDLE_MS) return undefined;
    const { practitioner, expires } = known;
    return { id, account, practitioner, expires: new Date(expires) };
  }

  /** What ends a session when it is written. */
  ending(id: string): NewEntry {
    return { type: SESSION_TYPE, id, content: {} };
  }

  async #touch(id: string, { version, ...known }: KnownSession): Promise<void> {
    const { ledger, now } = this.#options;
    const used = now().getTime();
    if (used - known.used < TOUCH_MS) return;
    const content = { ...known, used };
    try {
      await ledger.commit([{ type: SESSION_TYPE, id, content, follows: version }]);
    } catch (error) {
      // Somebody else said it this moment, or the session was ended: then it stays so.
      if (!(error instanceof RefusedError && error.code === 'version_conflict')) throw error;
    }
  }
}

const hashOf = async (token: string): Promise<string> => encodeHex(await sha256(encodeUtf8(token)));
