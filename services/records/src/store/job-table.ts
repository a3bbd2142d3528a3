import type { JsonObject } from '@cloister/bytes';

/** Under which type the log keeps who does a job; the id is the Task's. */
export const LEASE_TYPE = 'JobLease';

/** Who does a job, and since when that was last said. */
export interface JobLease {
  /** The replica. */
  readonly owner: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly version: number;
}

const OPEN = new Set<unknown>(['requested', 'accepted', 'in-progress']);

/** The open work (design 4): which Tasks wait or are under way, who does them, of which nobody was told. */
export class JobTable {
  readonly #open = new Map<string, number>();
  readonly #untold = new Map<string, number>();
  readonly #leases = new Map<string, JobLease>();

  /** Tasks that are open, and when each was last written (milliseconds since 1970). */
  get open(): ReadonlyMap<string, number> {
    return this.#open;
  }

  /** Tasks that have their result while no notification says so, and when they got it. */
  get untold(): ReadonlyMap<string, number> {
    return this.#untold;
  }

  lease(task: string): JobLease | undefined {
    return this.#leases.get(task);
  }

  applyTask(id: string, { status }: JsonObject, at: number): void {
    if (OPEN.has(status)) this.#open.set(id, at);
    else this.#open.delete(id);
    if (status === 'completed') this.#untold.set(id, at);
  }

  applyEvent({ t, k }: JsonObject): void {
    if (k === 'ready-for-review' && typeof t === 'string')
      this.#untold.delete(t.replace(/^Task\//, ''));
  }

  applyLease(task: string, version: number, { owner }: JsonObject, at: number): void {
    if (typeof owner === 'string') this.#leases.set(task, { owner, at, version });
  }
}
