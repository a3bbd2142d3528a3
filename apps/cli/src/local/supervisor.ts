import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CommandError } from '../command-error.ts';

/** A process that was started and is ready. */
export interface Running {
  readonly name: string;
  /** Where it listens, as it said itself. */
  readonly url: string;
  readonly pid: number;
  /** Ends it: SIGTERM, then SIGKILL after five seconds. */
  stop(): Promise<void>;
}

/** Thrown when a process ended before it was ready, with what it said last. */
export class StartError extends CommandError {
  readonly process: string;
  readonly complaint: string;

  constructor(name: string, complaint: string, logs: string) {
    super(`${name} did not start: ${complaint}; see ${logs}/${name}.log`);
    this.process = name;
    this.complaint = complaint;
  }
}

const READY = /^listening on (http:\/\/127\.0\.0\.1:\d+)$/;
/** A machine that is busy takes long; one that hangs is given up. */
const START_MS = 60_000;
const STOP_MS = 5_000;

/** Starts services as processes, keeps their logs, and ends them all. */
export class Supervisor {
  readonly #logs: string;
  readonly #children = new Map<ChildProcess, string>();
  readonly #onExit: (name: string, code: number | null) => void;
  #stopping = false;

  constructor(logs: string, onExit: (name: string, code: number | null) => void = () => {}) {
    mkdirSync(logs, { recursive: true });
    this.#logs = logs;
    this.#onExit = onExit;
  }

  /** Starts a TypeScript entry point and waits for its line `listening on …`. */
  async start(name: string, entry: string, args: readonly string[]): Promise<Running> {
    const child = spawn(process.execPath, [...process.execArgv, entry, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.set(child, name);
    const file = createWriteStream(join(this.#logs, `${name}.log`), { flags: 'a', mode: 0o600 });
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => file.write(`${line}\n`));
    let complaint = '';
    createInterface({ input: child.stderr }).on('line', (line) => {
      // Node prints where it was, then the error, then a stack and its version: the error is what counts.
      if (complaint === '' || /^\w*Error\b/.test(line)) complaint = line;
      file.write(`${line}\n`);
    });
    let ready = false;
    child.once('exit', (code) => {
      this.#children.delete(child);
      file.end();
      if (ready && !this.#stopping) this.#onExit(name, code);
    });
    const url = await new Promise<string>((resolve, reject) => {
      const failed = (why: string) => {
        reject(new StartError(name, why, this.#logs));
      };
      const timer = setTimeout(() => failed(`not ready after ${START_MS / 1000} s`), START_MS);
      lines.on('line', (line) => {
        const found = READY.exec(line)?.[1];
        if (found !== undefined) {
          clearTimeout(timer);
          resolve(found);
        }
      });
      child.once('error', (error) => failed(error.message));
      child.once('exit', (code) => {
        clearTimeout(timer);
        failed(complaint === '' ? `exit code ${code}` : complaint);
      });
    });
    ready = true;
    return { name, url, pid: child.pid ?? 0, stop: () => end(child) };
  }

  /** Ends everything that was started; returns when all of it is gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#children.keys()].map(end));
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await gone;
  clearTimeout(timer);
}
