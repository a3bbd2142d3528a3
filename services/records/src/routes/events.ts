import { Hono } from 'hono';
import type { RecordEvent } from '../store/directory.ts';
import { RefusedError } from '../refused-error.ts';
import type { Core, Env } from './context.ts';

const LONGEST_WAIT_S = 25;

/**
 * `GET /events?cursor=N&wait=25`: what happened behind the cursor, in event-stream format (spec
 * clinical.md 7); waits for the first where nothing has yet. Ids and codes only: no access to a
 * record, so nothing to audit.
 */
export function eventRoutes({ ledger }: Core): Hono<Env> {
  const app = new Hono<Env>();
  app.get('/events', async (c) => {
    const cursor = numberOf(c.req.query('cursor') ?? c.req.header('last-event-id') ?? '0');
    const wait = Math.min(numberOf(c.req.query('wait') ?? '0'), LONGEST_WAIT_S);
    const { directory } = ledger;
    // A cursor of the future is one of another log: the reader has to begin anew.
    const pending = () => (cursor > directory.cursor ? undefined : directory.eventsAfter(cursor));
    let events = pending();
    if (events?.length === 0 && wait > 0) {
      await commitOrTimeout(ledger, wait * 1000, c.req.raw.signal, () => pending()?.length !== 0);
      events = pending();
    }
    const text = events === undefined ? resync(directory.cursor) : events.map(format).join('');
    return c.body(text === '' ? ': nothing yet\n\n' : text, 200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
    });
  });
  return app;
}

function numberOf(text: string): number {
  if (!/^\d{1,15}$/.test(text))
    throw new RefusedError('bad_request', 'cursor and wait are numbers');
  return Number(text);
}

function commitOrTimeout(
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

function format({ cursor, data }: RecordEvent): string {
  const { meta: _, ...shown } = data;
  return `id: ${cursor}\nevent: resource\ndata: ${JSON.stringify(shown)}\n\n`;
}

/** Older events are gone: the reader reads everything again and goes on from here. */
const resync = (cursor: number): string =>
  `id: ${cursor}\nevent: resync\ndata: {"t":"*","k":"resync"}\n\n`;
