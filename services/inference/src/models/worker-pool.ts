import { Worker } from 'node:worker_threads';
import { InferenceError } from '../inference-error.ts';
import type { StoredModel } from './model-store.ts';
import type { FromWorker, ModelMetadata, OutputTensor, ToWorker } from './worker-messages.ts';

/** One run of one model. */
export interface Run {
  /** The model's place in the list that the pool was made with. */
  readonly model: number;
  readonly input: { readonly name: string; readonly shape: readonly number[] };
  /** Goes to the worker, which overwrites it; it is gone from the caller's hands. */
  readonly data: Float32Array<ArrayBuffer>;
  readonly outputs: readonly string[];
}

/** Threads that run ONNX sessions. */
export interface WorkerPool {
  /** What each model says of itself; a model that the runtime refused is missing. */
  readonly metadata: ReadonlyMap<number, ModelMetadata>;
  readonly infer: (run: Run) => Promise<readonly OutputTensor[]>;
  /** How many threads can take work now or after the run they are at. */
  readonly alive: () => number;
  readonly close: () => Promise<void>;
}

interface Job {
  readonly run: Run;
  readonly resolve: (outputs: readonly OutputTensor[]) => void;
  readonly reject: (error: InferenceError) => void;
}

interface Thread {
  readonly worker: Worker;
  current: { readonly id: number; readonly job: Job; readonly timer: NodeJS.Timeout } | undefined;
}

/** Runs that may wait; more are told to come back. */
const MAX_QUEUE = 256;
const RUN_MS = 30_000;
const RESTART_MS = 1000;

/**
 * Starts the threads; each gets every model, opened anew, so that no thread shares memory with
 * another. A thread that dies takes its one run with it and is replaced.
 */
export async function createWorkerPool(options: {
  readonly models: readonly StoredModel[];
  readonly size: number;
  /** Told when a thread died, and when its replacement could not be started. */
  readonly onLost: (error: unknown) => void;
  /** Makes a thread; that of `session-worker.ts` unless told. */
  readonly createWorker?: () => Worker;
}): Promise<WorkerPool> {
  const { models, size, onLost, createWorker = createSessionWorker } = options;
  const threads = new Set<Thread>();
  const queue: Job[] = [];
  let jobs = 0;
  let closing = false;

  const dispatch = (): void => {
    for (const thread of threads) {
      if (thread.current !== undefined) continue;
      const job = queue.shift();
      if (job === undefined) return;
      const id = ++jobs;
      const timer = setTimeout(() => void thread.worker.terminate(), RUN_MS);
      thread.current = { id, job, timer };
      const message: ToWorker = { kind: 'run', job: id, ...job.run };
      thread.worker.postMessage(message, [job.run.data.buffer]);
    }
  };

  const settle = (thread: Thread, outcome: readonly OutputTensor[] | InferenceError): void => {
    const { current } = thread;
    if (current === undefined) return;
    thread.current = undefined;
    clearTimeout(current.timer);
    if (outcome instanceof InferenceError) current.job.reject(outcome);
    else current.job.resolve(outcome);
  };

  const enlist = (worker: Worker): void => {
    const thread: Thread = { worker, current: undefined };
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'loaded' || message.job !== thread.current?.id) return;
      settle(
        thread,
        message.kind === 'done'
          ? message.outputs
          : new InferenceError('internal', 'the runtime refused the run'),
      );
      dispatch();
    });
    worker.once('exit', () => {
      threads.delete(thread);
      settle(thread, new InferenceError('worker_lost', 'the thread of this run ended'));
      if (closing) return;
      onLost({ code: 'worker_exit' });
      replace();
    });
    threads.add(thread);
    dispatch();
  };

  const replace = (): void => {
    setTimeout(() => {
      if (closing) return;
      startWorker(models, createWorker).then(
        ({ worker }) => (closing ? void worker.terminate() : enlist(worker)),
        (error: unknown) => {
          onLost(error);
          replace();
        },
      );
    }, RESTART_MS).unref();
  };

  const started = await Promise.all(
    Array.from({ length: size }, () => startWorker(models, createWorker)),
  );
  for (const { worker } of started) enlist(worker);
  const metadata = new Map(started[0]?.loaded.map((model) => [model.id, model]));

  return {
    metadata,
    alive: () => threads.size,
    infer: (run) =>
      new Promise((resolve, reject) => {
        if (queue.length >= MAX_QUEUE || closing || threads.size === 0) {
          reject(new InferenceError('overloaded', 'no thread is free'));
          return;
        }
        queue.push({ run, resolve, reject });
        dispatch();
      }),
    close: async () => {
      closing = true;
      for (const job of queue.splice(0)) job.reject(new InferenceError('overloaded', 'stopping'));
      await Promise.all(Array.from(threads, ({ worker }) => worker.terminate()));
    },
  };
}

function createSessionWorker(): Worker {
  return new Worker(new URL('./session-worker.ts', import.meta.url));
}

async function startWorker(
  models: readonly StoredModel[],
  createWorker: () => Worker,
): Promise<{ readonly worker: Worker; readonly loaded: readonly ModelMetadata[] }> {
  const opened = await Promise.all(models.map((model) => model.open()));
  const worker = createWorker();
  const loaded = new Promise<readonly ModelMetadata[]>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', () => reject(new InferenceError('worker_lost', 'a thread did not start')));
    worker.once('message', (message: FromWorker) => {
      if (message.kind === 'loaded') resolve(message.models);
      else reject(new InferenceError('worker_lost', 'a thread did not load its models'));
    });
  });
  // An error of a thread later is followed by its exit, which is where it is handled.
  worker.on('error', () => undefined);
  const message: ToWorker = {
    kind: 'load',
    models: opened.map((bytes, id) => ({ id, bytes })),
  };
  worker.postMessage(
    message,
    opened.map((bytes) => bytes.buffer),
  );
  return { worker, loaded: await loaded };
}
