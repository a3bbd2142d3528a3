import { equalBytes } from '@cloister/bytes';
import { type Store, StoreError } from '@cloister/service';
import { RefusedError } from '../refused-error.ts';
import type { LogReader } from './log-reader.ts';
import {
  type CommitOptions,
  type Job,
  type NewEntry,
  SealedGroup,
  type SealOptions,
  type Stored,
} from './sealed-group.ts';

/** What the writer works with. */
export interface WriterOptions extends SealOptions {
  readonly store: Store;
  readonly reader: LogReader;
  readonly now: () => Date;
  /** How long a store that does not answer is waited for, milliseconds. */
  readonly patienceMs: number;
  /** Runs when something was written, before anybody is told. */
  readonly afterCommit?: () => Promise<void>;
  /** Told when something was written. */
  readonly onCommit?: () => void;
}

const LARGEST_GROUP = 64;
/** A group that others overtake so often says that it could not be written. */
const MOST_TRIES = 100;
const LONGEST_PAUSE_MS = 500;

/**
 * The only writer of this process. Jobs that wait are sealed one after the other, in the order in
 * which they came, and written in one transaction behind the head that this process knows. Where
 * another replica was faster, what it wrote is read first, and everything is judged and sealed anew.
 */
export class LedgerWriter {
  readonly #options: WriterOptions;
  readonly #queue: Job[] = [];
  #working: Promise<void> | undefined;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  commit(entries: readonly NewEntry[], options: CommitOptions = {}): Promise<readonly Stored[]> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ entries, options, resolve, reject });
      this.#working ??= this.#work();
    });
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    await Promise.resolve();
    const { reader } = this.#options;
    while (this.#queue.length > 0) {
      const jobs = this.#nextJobs();
      try {
        const written = await reader.exclusive(() => this.#write(jobs));
        if (written.length > 0) await this.#options.afterCommit?.();
        for (const group of written) group.resolve();
        if (written.length > 0) this.#options.onCommit?.();
      } catch (error) {
        for (const job of jobs) job.reject(error);
      }
    }
    this.#working = undefined;
  }

  /** Those that may share a transaction: a check looks at the directory, so it comes first. */
  #nextJobs(): Job[] {
    const jobs = this.#queue.splice(0, 1);
    while (jobs.length < LARGEST_GROUP) {
      const [next] = this.#queue;
      if (next === undefined || next.options.check !== undefined) break;
      jobs.push(next);
      this.#queue.shift();
    }
    return jobs;
  }

  /**
   * Writes the jobs and gives the groups that are in the log now; rejects jobs that are refused, and
   * throws where the rest cannot be written.
   */
  async #write(given: readonly Job[]): Promise<readonly SealedGroup[]> {
    const { store, reader, keys, patienceMs } = this.#options;
    const deadline = performance.now() + patienceMs;
    /** Groups of which nobody said whether they were written. */
    let unsure: SealedGroup[] = [];
    const done: SealedGroup[] = [];
    let jobs = given;
    let behind = false;
    for (let tries = 1; ; tries++) {
      reader.check();
      let trying: SealedGroup | undefined;
      try {
        if (behind) await reader.follow();
        const written = unsure.find((group) => this.#isWritten(group));
        if (written !== undefined) {
          done.push(written);
          jobs = jobs.filter((job) => !written.jobs.includes(job));
        }
        // Behind a head that the log has left, a group can no longer be written.
        unsure = unsure.filter(({ after }) => after === reader.head);
        const group = await this.#seal(jobs, { again: tries > 1, unsure: unsure.length > 0 });
        jobs = group.jobs;
        if (jobs.length === 0) return done;
        trying = group;
        unsure.push(group);
        await store.commit(group.batch);
        keys.keep(group.newKeys);
        reader.advance(group.opened);
        return [...done, group];
      } catch (error) {
        if (!(error instanceof StoreError) || tries >= MOST_TRIES) throw error;
        // Only what the store refused by itself is certainly not written.
        if (error.code !== 'unavailable') unsure = unsure.filter((group) => group !== trying);
        const overtaken = error.code === 'conflict' || error.code === 'replayed';
        const waiting = error.code === 'unavailable' && performance.now() < deadline;
        if (!overtaken && !waiting) throw error;
        behind = true;
        if (tries > 2 || waiting) await pause(waiting ? 20 * tries : 2 * tries);
      }
    }
  }

  /** Seals what may be written; jobs that are refused learn it now. */
  async #seal(
    jobs: readonly Job[],
    { again, unsure }: { readonly again: boolean; readonly unsure: boolean },
  ): Promise<SealedGroup> {
    const { store, reader, now } = this.#options;
    const group = new SealedGroup(this.#options, reader.head, now());
    for (const job of jobs) {
      try {
        const { request } = job.options;
        // The commit itself refuses a copy, but does not say which of several jobs that was.
        if (again && request !== undefined && (await store.hasMarker(request)))
          // The mark may be that of our own group, which was written this very moment.
          throw unsure ? new StoreError('conflict') : new RefusedError('replayed');
        await group.add(job);
      } catch (error) {
        if (error instanceof StoreError) throw error;
        job.reject(error);
      }
    }
    return group;
  }

  /** Whether a group of which nothing was known stands in the log. */
  #isWritten({ head }: SealedGroup): boolean {
    const { directory, reader } = this.#options;
    const hash =
      reader.head.position >= head.position ? directory.hashAt(head.position) : undefined;
    return hash !== undefined && equalBytes(hash, head.hash);
  }
}

/** Waits about so long; not all replicas the same, or they would meet again. */
const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, Math.min(ms, LONGEST_PAUSE_MS) * (0.5 + Math.random()));
  });
