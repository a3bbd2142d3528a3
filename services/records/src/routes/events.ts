import { Hono } from 'hono';
import { RefusedError } from '../refused-error.ts';
import type { Sessions } from '../sign-in/sessions.ts';
import type { Core, Env, RecordsContext } from './context.ts';
import { eventsBehind, eventStream, formatEvent, formatResync } from './event-stream.ts';

/** What the notifications work with. */
export interface EventDeps extends Core {
  readonly sessions: Sessions;
  /** When it is aborted, streams end. */
  readonly stopping?: AbortSignal;
}

const LONGEST_WAIT_S = 25;
/** One for each tab that somebody has open, and some. */
const STREAMS_PER_SESSION = 8;
const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
};

/**
 * `GET /events`: what happened behind a cursor (`Last-Event-ID` or `cursor`), in event-stream format
 * (spec clinical.md 7). With `wait` as one answer, which waits so many seconds for the first event
 * where there is none yet; without, to who accepts an event stream, as one that goes on. Ids and codes
 * only: no access to a record, so nothing to audit.
 */
export function eventRoutes(deps: EventDeps): Hono<Env> {
  const { ledger } = deps;
  const streams = new Map<string, number>();
  const app = new Hono<Env>();
  app.get('/events', async (c) => {
    const cursor = numberOf(c.req.header('last-event-id') ?? c.req.query('cursor') ?? '0');
    const wait = c.req.query('wait');
    const accepts = /\btext\/event-stream\b/.test(c.req.header('accept') ?? '');
    if (wait === undefined && accepts) return stream(deps, c, cursor, streams);
    const seconds = Math.min(numberOf(wait ?? '0'), LONGEST_WAIT_S);
    let events = eventsBehind(ledger, cursor);
    if (events?.length === 0 && seconds > 0) {
      const done = (): boolean => eventsBehind(ledger, cursor)?.length !== 0;
      await changeOrTimeout(ledger, seconds * 1000, c.req.raw.signal, done);
      events = eventsBehind(ledger, cursor);
    }
    const text =
      events === undefined
        ? formatResync(ledger.directory.cursor)
        : events.map(formatEvent).join('');
    return c.body(text === '' ? ': nothing yet\n\n' : text, 200, HEADERS);
  });
  return app;
}

function stream(
  { ledger, sessions, stopping }: EventDeps,
  c: RecordsContext,
  cursor: number,
  streams: Map<string, number>,
): Response {
  const { id } = c.get('session');
  const open = streams.get(id) ?? 0;
  if (open >= STREAMS_PER_SESSION) throw new RefusedError('throttled', 'too many event streams');
  streams.set(id, open + 1);
  let ended = false;
  const onEnd = (): void => {
    if (ended) return;
    ended = true;
    const left = (streams.get(id) ?? 1) - 1;
    if (left > 0) streams.set(id, left);
    else streams.delete(id);
  };
  const isAllowed = (): boolean => stopping?.aborted !== true && sessions.find(id) !== undefined;
  return new Response(eventStream({ ledger, cursor, isAllowed, onEnd }), { headers: HEADERS });
}

function numberOf(text: string): number {
  if (!/^\d{1,15}$/.test(text))
    throw new RefusedError('bad_request', 'cursor and wait are numbers');
  return Number(text);
}

function changeOrTimeout(
  ledger: Core['ledger'],
  ms: number,
  signal: AbortSignal,
  done: () => boolean,
): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      off();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const off = ledger.onChange(() => {
      if (done()) end();
    });
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
