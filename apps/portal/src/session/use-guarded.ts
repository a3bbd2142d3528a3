import { useEffect } from 'react';
import { isSignedOut } from './failure.ts';
import { useSession } from './session.ts';

/** Ends the session where an error says that the platform has ended it. */
export function useGuarded(error: unknown): void {
  const { end } = useSession();
  const signedOut = isSignedOut(error);
  useEffect(() => {
    if (signedOut) end();
  }, [signedOut, end]);
}
