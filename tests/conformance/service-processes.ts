import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { entryOf, type ServiceName } from '../../apps/cli/src/local/places.ts';

const conditions = process.execArgv.filter((arg) => arg.startsWith('--conditions'));

/** A process that listens, or has ended and said why. */
export interface Started {
  readonly url: string | undefined;
  readonly code: number | null;
  /** What it wrote: lines of the log, and why it did not start. */
  readonly said: readonly string[];
  stop(): Promise<void>;
}

/** Services as processes, that may also end at the start; all of them end together. */
export class ServiceProcesses {
  readonly #children = new Set<ChildProcess>();

  /** Starts a service and waits until it listens or has ended. */
  async start(
    service: ServiceName,
    args: readonly string[],
    env: NodeJS.ProcessEnv = process.env,
  ): Promise<Started> {
    const child = spawn(process.execPath, [...conditions, entryOf(service), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
    });
    this.#children.add(child);
    const said: string[] = [];
    createInterface(child.stderr).on('line', (line) => said.push(line));
    const ended = once(child, 'close').then(() => undefined);
    const listening = new Promise<string>((resolve) => {
      createInterface(child.stdout).on('line', (line) => {
        said.push(line);
        if (line.startsWith('listening on ')) resolve(line.slice('listening on '.length));
      });
    });
    const url = await Promise.race([listening, ended]);
    if (url === undefined) this.#children.delete(child);
    const stop = async (): Promise<void> => {
      child.kill('SIGTERM');
      await ended;
      this.#children.delete(child);
    };
    return { url, code: child.exitCode, said, stop };
  }

  /** Ends what still runs. */
  async close(): Promise<void> {
    const gone = [...this.#children].map(async (child) => {
      const ended = once(child, 'close');
      child.kill('SIGKILL');
      await ended;
    });
    await Promise.all(gone);
  }
}

/** The first group of the first line that is so, once there is one. */
export async function lineOf({ said }: Started, what: RegExp): Promise<string> {
  for (;;) {
    for (const line of said) {
      const [, found] = what.exec(line) ?? [];
      if (found !== undefined) return found;
    }
    // oxlint-disable-next-line no-await-in-loop -- looks again and again
    await sleep(50);
  }
}
