import { errorCode, errorPlace, routeTemplate } from '@cloister/service';
import type { NewEntry } from '../store/sealed-group.ts';
import { readyEvent, runDiagnosis, type JobDeps } from './diagnosis.ts';

/** Does jobs as they come. */
export interface JobWorker {
  /** Does a Task, when its turn comes. */
  readonly add: (task: string) => void;
  /** Takes up what was open when the service ended, and tells of results nobody was told of. */
  readonly resume: () => Promise<void>;
  /** Takes no more, and waits for what is under way. */
  readonly close: () => Promise<void>;
  /** How many wait or are under way. */
  readonly open: () => number;
}

const AT_ONCE = 2;
const RETRY_MS = 15_000;
const OPEN = ['requested', 'accepted', 'in-progress'];

/** A worker with a queue in memory; the log holds what is open, so a restart loses no job. */
export function createJobWorker(deps: JobDeps): JobWorker {
  const waiting: string[] = [];
  const running = new Set<Promise<void>>();
  const known = new Set<string>();
  const timers = new Set<NodeJS.Timeout>();
  let closed = false;

  const add = (task: string): void => {
    if (closed || known.has(task)) return;
    known.add(task);
    waiting.push(task);
    next();
  };
  const next = (): void => {
    while (running.size < AT_ONCE) {
      const task = closed ? undefined : waiting.shift();
      if (task === undefined) return;
      const run = work(task).finally(() => {
        running.delete(run);
        next();
      });
      running.add(run);
    }
  };
  const work = async (task: string): Promise<void> => {
    try {
      await runDiagnosis(deps, task);
      known.delete(task);
    } catch (error) {
      // The log takes no writes: the Task is still open in it, and is tried again.
      known.delete(task);
      const route = routeTemplate('job');
      deps.log('fault', { route, code: errorCode(error), place: errorPlace(error) });
      const timer = setTimeout(() => {
        timers.delete(timer);
        add(task);
      }, RETRY_MS).unref();
      timers.add(timer);
    }
  };
  return {
    add,
    async resume() {
      const { directory } = deps.ledger;
      const events = directory.eventsAfter(0) ?? [];
      const told = new Set(
        events.flatMap(({ data: { k, t } }) => (k === 'ready-for-review' ? [t] : [])),
      );
      const since = events[0]?.at ?? 0;
      const untold: NewEntry[] = [];
      for (const { id, search, lastUpdated, positions } of directory.all('Task')) {
        const [status] = search.get('status') ?? [];
        if (status?.kind !== 'token') continue;
        if (OPEN.includes(status.code)) add(id);
        else if (status.code === 'completed' && lastUpdated >= since && !told.has(`Task/${id}`))
          untold.push(readyEvent(id, positions.length, deps.now()));
      }
      if (untold.length > 0) await deps.ledger.commit(untold);
    },
    async close() {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
      await Promise.all(running);
    },
    open: () => waiting.length + running.size,
  };
}
