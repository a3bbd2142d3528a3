import { errorCode, errorPlace, opaqueId, routeTemplate } from '@cloister/service';
import { readyEvent, runDiagnosis, type JobDeps } from './diagnosis.ts';
import { JobLeases, LEASE_MS, LeaseLostError } from './job-lease.ts';

/** What a worker works with. */
export interface WorkerDeps extends JobDeps {
  /** The name of this process among the replicas. */
  readonly replica: string;
  /** Whether there are other replicas. */
  readonly shared: boolean;
}

/** Does jobs as they come. */
export interface JobWorker {
  /** Does a Task, when its turn comes. */
  readonly add: (task: string) => void;
  /** Looks for open jobs that nobody does and for results nobody was told of, from now on. */
  readonly start: () => Promise<void>;
  /** Takes no more, and waits for what is under way. */
  readonly close: () => Promise<void>;
  /** How many wait or are under way. */
  readonly open: () => number;
}

const AT_ONCE = 2;
const SCAN_MS = 1000;
const RETRY_MS = 15_000;
/** Who took an order is the first to do it; who finished a job, the first to tell. */
const GRACE_MS = 3000;

/**
 * A worker with a queue in memory. The log holds what is open and who does it: a restart loses no
 * job, and what a replica that died had taken is taken up by another.
 */
export function createJobWorker(deps: WorkerDeps): JobWorker {
  const { ledger, now, log } = deps;
  const leases = new JobLeases(deps);
  const grace = deps.shared ? GRACE_MS : 0;
  const waiting: string[] = [];
  const running = new Set<Promise<void>>();
  const known = new Set<string>();
  /** Tasks that failed for want of a database: not before this time again. */
  const notBefore = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;
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
        known.delete(task);
        running.delete(run);
        next();
      });
      running.add(run);
    }
  };
  const work = async (task: string): Promise<void> => {
    let renewal: NodeJS.Timeout | undefined;
    try {
      await leases.take(task);
      renewal = setInterval(() => {
        // Where it cannot be said any more, the fence stops the job.
        leases.take(task).catch((error: unknown) => {
          if (error instanceof LeaseLostError) clearInterval(renewal);
        });
      }, LEASE_MS / 3).unref();
      await runDiagnosis({ ...deps, ledger: leases.fence(task) }, task);
      notBefore.delete(task);
    } catch (error) {
      if (error instanceof LeaseLostError) {
        log('job_left', { task: opaqueId(task) });
        return;
      }
      // The log takes no writes: the Task is still open in it, and is tried again.
      notBefore.set(task, performance.now() + RETRY_MS);
      const route = routeTemplate('job');
      log('fault', { route, code: errorCode(error), place: errorPlace(error) });
    } finally {
      clearInterval(renewal);
    }
  };

  const scan = async (): Promise<void> => {
    const at = now().getTime();
    const { jobs } = ledger.directory;
    for (const [task, written] of jobs.open) {
      const fresh = jobs.lease(task) === undefined && at - written < grace;
      if (fresh || known.has(task) || !leases.isFree(task)) continue;
      if ((notBefore.get(task) ?? 0) <= performance.now()) add(task);
    }
    for (const [task, done] of jobs.untold) {
      if (known.has(task) || at - done < grace) continue;
      await tell(task);
    }
  };
  /** Tells of a result whose replica died before it did. */
  const tell = async (task: string): Promise<void> => {
    const version = ledger.directory.versionOf('Task', task);
    try {
      await ledger.commit([readyEvent(task, version, now())], {
        check: ({ jobs }) => {
          if (!jobs.untold.has(task)) throw new LeaseLostError();
        },
      });
    } catch (error) {
      if (!(error instanceof LeaseLostError)) throw error;
    }
  };
  const scanAgain = (): void => {
    timer = setTimeout(() => {
      scan()
        .catch((error: unknown) => {
          const route = routeTemplate('job');
          log('fault', { route, code: errorCode(error), place: errorPlace(error) });
        })
        .finally(() => {
          if (!closed) scanAgain();
        });
    }, SCAN_MS).unref();
  };
  return {
    add,
    async start() {
      await scan();
      scanAgain();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await Promise.all(running);
    },
    open: () => waiting.length + running.size,
  };
}
