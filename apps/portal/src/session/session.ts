import { createContext, use, useCallback, useEffect, useMemo, useState } from 'react';
import type { Session } from '@cloister/client';
import type { Connection } from './connection.ts';

/** Who is signed in, and over which channel. */
export interface SignedInState {
  readonly session: Session;
  readonly connection: Connection;
  readonly signOut: () => void;
  /** To be called when the platform says that the session has ended. */
  readonly end: () => void;
  /** Minutes that remain, once they are few. */
  readonly minutesLeft: number | undefined;
}

/** The session, for every screen behind sign-in. */
export const SessionContext = createContext<SignedInState | undefined>(undefined);

/** The session; only behind sign-in. */
export function useSession(): SignedInState {
  const state = use(SessionContext);
  if (state === undefined) throw new TypeError('outside SessionContext');
  return state;
}

const WARN_MINUTES = 5;

/** Keeps the session of a connection; `onEnd` runs before anybody else can sign in. */
export function useSessionState(
  connection: Connection,
  onEnd: () => void,
): {
  session: Session | undefined;
  ended: boolean;
  minutesLeft: number | undefined;
  signIn: (user: string, password: string) => Promise<void>;
  signOut: () => void;
  end: () => void;
} {
  const [session, setSession] = useState<Session>();
  const [ended, setEnded] = useState(false);
  const [minutesLeft, setMinutesLeft] = useState<number>();
  const { records } = connection;

  const leave = useCallback(
    (expired: boolean) => {
      // The token is forgotten here in any case; that the server hears of it is a courtesy.
      records.signOut().catch(() => undefined);
      setSession(undefined);
      setEnded(expired);
      setMinutesLeft(undefined);
      onEnd();
    },
    [records],
  );
  useEffect(() => {
    if (session === undefined) return undefined;
    const tick = () => {
      const left = session.expires.getTime() - Date.now();
      if (left <= 0) leave(true);
      else if (left < WARN_MINUTES * 60_000) setMinutesLeft(Math.ceil(left / 60_000));
    };
    tick();
    const timer = setInterval(tick, 5000);
    return () => clearInterval(timer);
  }, [session, leave]);

  const signIn = useCallback(
    async (user: string, password: string) => {
      setSession(await records.signIn(user, password));
      setEnded(false);
    },
    [records],
  );
  const signOut = useCallback(() => leave(false), [leave]);
  const end = useCallback(() => leave(true), [leave]);
  return useMemo(
    () => ({ session, ended, minutesLeft, signIn, signOut, end }),
    [session, ended, minutesLeft, signIn, signOut, end],
  );
}
