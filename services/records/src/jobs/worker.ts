import { errorCode, errorPlace, routeTemplate } from '@cloister/service';
import { runDiagnosis, type JobDeps } from './diagnosis.ts';

/** Does jobs as they come. */
export interface JobWorker {
  /** Does a Task, when its turn comes. */
  readonly add: (task: string) => void;
  /** Takes up what was open when the service ended. */
  readonly resume: () => void;
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
    while (running.size < AT_ONCE && !closed) {
      const task = waiting.shift();
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
    resume() {
      for (const { id, search } of deps.ledger.directory.all('Task')) {
        const [status] = search.get('status') ?? [];
        if (status?.kind === 'token' && OPEN.includes(status.code)) add(id);
      }
    },
    async close() {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
      await Promise.all(running);
    },
    open: () => waiting.length + running.size,
  };
}
