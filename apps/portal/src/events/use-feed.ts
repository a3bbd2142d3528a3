import { useQueryClient } from '@tanstack/react-query';
import { createContext, use, useEffect, useState } from 'react';
import { failureOf, isSignedOut, type Failure } from '../session/failure.ts';
import type { SignedInState } from '../session/session.ts';
import { keepPreference, readPreference } from '../settings/preferences.ts';
import { addEvents, EMPTY_FEED, retryDelay, type Feed } from './feed.ts';

/** The events of this session, and whether they still come in. */
export interface FeedState {
  readonly feed: Feed;
  /** Why events do not come in now. */
  readonly failure: Failure | undefined;
  /** Cursor up to which notices are read. */
  readonly seen: number;
  readonly unread: number;
  readonly markAllRead: () => void;
}

/** The feed, for every screen behind sign-in. */
export const FeedContext = createContext<FeedState | undefined>(undefined);

/** The feed; only behind sign-in. */
export function useFeed(): FeedState {
  const state = use(FeedContext);
  if (state === undefined) throw new TypeError('outside FeedContext');
  return state;
}

const WAIT_SECONDS = 25;

/** Asks for events through the channel, over and over (long poll), as long as it is mounted. */
export function useFeedState({ connection, end }: SignedInState): FeedState {
  const queries = useQueryClient();
  const [feed, setFeed] = useState<Feed>(EMPTY_FEED);
  const [failure, setFailure] = useState<Failure>();
  const [seen, setSeen] = useState(() => Number(readPreference('seen') ?? 0) || 0);

  useEffect(() => {
    const stop = new AbortController();
    const listen = async (): Promise<void> => {
      let cursor = 0;
      let first = true;
      let failures = 0;
      while (!stop.signal.aborted) {
        try {
          // After a failure the first answer is wanted at once: it says that the connection is back.
          const wait = first || failures > 0 ? 0 : WAIT_SECONDS;
          const batch = await connection.records.events(cursor, wait, stop.signal);
          if (stop.signal.aborted) return;
          failures = 0;
          setFailure(undefined);
          if (batch.events.length > 0) {
            setFeed((before) => addEvents(before, batch.events));
            void queries.invalidateQueries({ queryKey: ['task'] });
            if (!first && batch.events.some(({ kind }) => kind !== 'phase'))
              void queries.invalidateQueries({ queryKey: ['patient'] });
          }
          first = false;
          cursor = batch.cursor;
        } catch (error) {
          if (stop.signal.aborted) return;
          if (isSignedOut(error)) {
            end();
            return;
          }
          setFailure(failureOf(error));
          await pause(retryDelay(failures++), stop.signal);
        }
      }
    };
    void listen();
    return () => stop.abort();
  }, [connection, end, queries]);

  const unread = feed.notices.filter(({ id }) => id > seen).length;
  const markAllRead = () => {
    setSeen(feed.cursor);
    keepPreference('seen', String(feed.cursor));
  };
  return { feed, failure, seen, unread, markAllRead };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
