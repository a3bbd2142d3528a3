import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Finding, FuzzReport } from './target.ts';
import { INPUT_AT, type FuzzJob } from './worker.ts';

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url));
/** One input on which a thread makes no progress for so long hangs. */
const HANG_MS = 10_000;
/** No input may make a reader hold more than this beside what the program holds anyway. */
const MEMORY_MB = 384;
const LARGEST_INPUT = 1 << 20;

/**
 * Runs one target in a thread of its own, so that an input on which it hangs, or which eats the
 * memory, ends the thread and not us, and is known.
 */
export async function runFuzz(
  target: string,
  options: { readonly milliseconds: number; readonly seed: number },
): Promise<FuzzReport> {
  const board = new SharedArrayBuffer(INPUT_AT + LARGEST_INPUT);
  const job: FuzzJob = { target, ...options, board };
  const worker = new Worker(WORKER, {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB },
  });
  const counters = new Int32Array(board, 0, 2);
  const failed = (rule: Finding['rule'], detail: string): FuzzReport => ({
    target,
    executions: Atomics.load(counters, 0),
    corpus: 0,
    blocks: 0,
    findings: [{ target, rule, detail, inputBase64: inputOn(board) }],
  });
  return new Promise<FuzzReport>((resolve, reject) => {
    let last = -1;
    const watch = setInterval(() => {
      const now = Atomics.load(counters, 0);
      // Before the first input it loads its targets, which is not judged.
      if (now === last && now > 0) {
        resolve(failed('hang', `no answer for ${HANG_MS} ms`));
        void worker.terminate();
      }
      last = now;
    }, HANG_MS);
    worker.once('message', (report: FuzzReport) => resolve(report));
    worker.once('error', (error) => {
      if ('code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY') {
        resolve(failed('too much memory', `more than ${MEMORY_MB} MB`));
      } else reject(error);
    });
    worker.once('exit', () => {
      clearInterval(watch);
      reject(new RangeError(`${target}: the thread ended without a report`));
    });
  });
}

function inputOn(board: SharedArrayBuffer): string {
  const [, length = 0] = new Int32Array(board, 0, 2);
  return Buffer.from(
    new Uint8Array(board, INPUT_AT, Math.min(length, LARGEST_INPUT)).slice(),
  ).toString('base64');
}
