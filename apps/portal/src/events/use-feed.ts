import { useQueryClient } from '@tanstack/react-query';
import { createContext, use, useEffect, useState } from 'react';
import type { RecordsEvent } from '@cloister/client';
import { failureOf, isSignedOut, type Failure } from '../session/failure.ts';
import type { SignedInState } from '../session/session.ts';
import { keepPreference, readPreference } from '../settings/preferences.ts';
import { addEvents, EMPTY_FEED, type Feed } from './feed.ts';
import { followEvents } from './follow-events.ts';

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

/** Follows the events through the channel, as a stream where that gets through, while it is mounted. */
export function useFeedState({ connection, end }: SignedInState): FeedState {
  const queries = useQueryClient();
  const [feed, setFeed] = useState<Feed>(EMPTY_FEED);
  const [failure, setFailure] = useState<Failure>();
  const [seen, setSeen] = useState(() => Number(readPreference('seen') ?? 0) || 0);

  useEffect(() => {
    const stop = new AbortController();
    const onEvents = (events: readonly RecordsEvent[], first: boolean): void => {
      setFeed((before) => addEvents(before, events));
      void queries.invalidateQueries({ queryKey: ['task'] });
      if (!first && events.some(({ kind }) => kind !== 'phase'))
        void queries.invalidateQueries({ queryKey: ['patient'] });
    };
    const follow = async (): Promise<void> => {
      const over = await followEvents({
        source: connection.records,
        signal: stop.signal,
        onEvents,
        onFailure: (error) => setFailure(error === undefined ? undefined : failureOf(error)),
        isOver: isSignedOut,
        pause,
        random: Math.random,
      });
      if (over !== undefined) end();
    };
    void follow();
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
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end);
  });
}
