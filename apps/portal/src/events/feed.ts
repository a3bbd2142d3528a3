import type { RecordsEvent } from '@cloister/client';

/** What a task's events add up to. */
export interface TaskProgress {
  readonly phases: Readonly<Record<string, { readonly ok: boolean; readonly ms?: number }>>;
  readonly outcome?: 'ready' | 'failed' | 'rejected';
  readonly code?: string;
}

/** A line of the list of notifications. */
export interface Notice {
  /** The event's cursor. */
  readonly id: number;
  readonly task: string;
  readonly kind: 'ready' | 'failed' | 'rejected';
  readonly code?: string;
  readonly time?: string;
}

/** All that the events so far say. */
export interface Feed {
  readonly cursor: number;
  readonly tasks: ReadonlyMap<string, TaskProgress>;
  /** Newest first. */
  readonly notices: readonly Notice[];
}

/** Before any event. */
export const EMPTY_FEED: Feed = { cursor: 0, tasks: new Map(), notices: [] };

const MAX_NOTICES = 200;
const OUTCOMES = new Map<string, Notice['kind']>([
  ['ready-for-review', 'ready'],
  ['failed', 'failed'],
  ['rejected', 'rejected'],
]);

/** The feed after more events; those at or below its cursor were seen and change nothing. */
export function addEvents(feed: Feed, events: readonly RecordsEvent[]): Feed {
  const resync = events.find(({ kind }) => kind === 'resync');
  // The log does not go back that far, or is another one: what was known before stays as read.
  if (resync !== undefined) return { ...feed, cursor: resync.id };
  const fresh = events.filter(({ id }) => id > feed.cursor);
  if (fresh.length === 0) return feed;
  const tasks = new Map(feed.tasks);
  const notices = [...feed.notices];
  for (const event of fresh) {
    const task = /^Task\/(.+)$/.exec(event.target)?.[1];
    if (task === undefined) continue;
    const before = tasks.get(task) ?? { phases: {} };
    const outcome = OUTCOMES.get(event.kind);
    if (event.kind === 'phase' && event.phase !== undefined) {
      const phase = { ok: event.ok ?? true, ...(event.ms === undefined ? {} : { ms: event.ms }) };
      tasks.set(task, { ...before, phases: { ...before.phases, [event.phase]: phase } });
    } else if (outcome !== undefined) {
      const code = event.code === undefined ? {} : { code: event.code };
      tasks.set(task, { ...before, outcome, ...code });
      const time = event.time === undefined ? {} : { time: event.time };
      notices.unshift({ id: event.id, task, kind: outcome, ...code, ...time });
    }
  }
  const cursor = fresh.at(-1)?.id ?? feed.cursor;
  return { cursor, tasks, notices: notices.slice(0, MAX_NOTICES) };
}

/**
 * How long to wait before the next try after so many failures in a row: 1 s to 15 s, up to half as
 * much again by chance, so that not all browsers come back at once.
 */
export function retryDelay(failures: number, chance: number): number {
  const delay = Math.min(15_000, 1000 * 2 ** Math.min(failures, 4));
  return Math.round(delay * (1 + chance / 2));
}
