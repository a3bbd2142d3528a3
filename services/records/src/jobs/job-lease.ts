import type { Directory } from '../store/directory.ts';
import { type JobLease, LEASE_TYPE } from '../store/job-table.ts';
import type { Ledger } from '../store/ledger.ts';

/** Thrown to a replica that does a job which is another's, or has ended. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
  readonly code = 'lease_lost';
}

/** Who may hold leases, and how they count. */
export interface LeaseOptions {
  readonly ledger: Ledger;
  /** The name of this process: random, new at each start. */
  readonly replica: string;
  /** Whether there are other replicas: without, a lease of another process is a dead one's. */
  readonly shared: boolean;
  readonly now: () => Date;
}

/** So long a lease counts after it was last said; its owner says it three times in that time. */
export const LEASE_MS = 10_000;

/** The right to do one job, in the log: of all replicas one has it, until it dies. */
export class JobLeases {
  readonly #options: LeaseOptions;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** Whether this process may take the job now. */
  isFree(task: string): boolean {
    const { ledger } = this.#options;
    return this.#isFree(ledger.directory.jobs.lease(task));
  }

  /** Takes the job, or says again that it is being done; LeaseLostError where it is another's. */
  async take(task: string): Promise<void> {
    const { ledger, replica } = this.#options;
    await ledger.commit([{ type: LEASE_TYPE, id: task, content: { owner: replica } }], {
      check: ({ jobs }) => {
        if (!jobs.open.has(task) || !this.#isFree(jobs.lease(task))) throw new LeaseLostError();
      },
    });
  }

  /**
   * The ledger as who does the job may use it: whatever is written is written only while the job
   * is still this process's, judged behind the very head that the entries follow.
   */
  fence(task: string): Ledger {
    const { ledger, replica } = this.#options;
    const check = ({ jobs }: Directory): void => {
      if (jobs.lease(task)?.owner !== replica) throw new LeaseLostError();
    };
    return {
      ...ledger,
      get head() {
        return ledger.head;
      },
      get failure() {
        return ledger.failure;
      },
      commit: (entries, options) =>
        ledger.commit(entries, {
          ...options,
          check: (directory) => {
            check(directory);
            options?.check?.(directory);
          },
        }),
    };
  }

  #isFree(lease: JobLease | undefined): boolean {
    const { replica, shared, now } = this.#options;
    if (lease === undefined || lease.owner === replica || !shared) return true;
    return now().getTime() - lease.at > LEASE_MS;
  }
}
