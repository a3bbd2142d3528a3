import { parentPort, workerData } from 'node:worker_threads';
import { Coverage } from './coverage.ts';

/** What the thread is told. */
export interface FuzzJob {
  readonly target: string;
  readonly milliseconds: number;
  readonly seed: number;
  /** A counter, a length, then the input that is being read: another thread can see it any time. */
  readonly board: SharedArrayBuffer;
}

/** Where the input begins on the board. */
export const INPUT_AT = 8;

if (parentPort !== null) {
  const job = workerData as FuzzJob;
  const counters = new Int32Array(job.board, 0, 2);
  const space = new Uint8Array(job.board, INPUT_AT);
  const coverage = new Coverage();
  coverage.start();
  // Loaded only now: code that was compiled before is not watched block by block.
  const { TARGETS } = await import('./targets.ts');
  const { fuzz } = await import('./fuzz.ts');
  const target = TARGETS.get(job.target);
  if (target === undefined) throw new RangeError(`no target ${job.target}`);
  const report = await fuzz(target, coverage, {
    milliseconds: job.milliseconds,
    seed: job.seed,
    announce: (input) => {
      space.set(input.subarray(0, space.length));
      counters[1] = input.length;
      Atomics.add(counters, 0, 1);
    },
  });
  coverage.stop();
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
  parentPort.postMessage(report);
}
