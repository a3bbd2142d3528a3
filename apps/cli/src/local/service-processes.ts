import { CommandError } from '../command-error.ts';
import { entryOf, PROCESSES, type Places, type ProcessName } from './places.ts';
import type { Ports } from './ports.ts';
import { Supervisor, type Running } from './supervisor.ts';
import type { Variant } from './variant.ts';

/** What the processes of one deployment have in common. */
export interface ServiceProcessesOptions {
  readonly places: Places;
  readonly ports: Ports;
  /** Of the portal. */
  readonly origin: string;
  /** Runs in the place of the service that it varies. */
  readonly variant: Variant | undefined;
  /** Where each process serves `/metrics`; nowhere unless told. */
  readonly metrics: Ports | undefined;
  /** Processes that somebody else starts. */
  readonly without: readonly ProcessName[];
  readonly onExit: ((name: string, code: number | null) => void) | undefined;
}

/** The services of one deployment, as processes. */
export class ServiceProcesses {
  readonly #options: ServiceProcessesOptions;
  readonly #supervisor: Supervisor;
  readonly #running = new Map<ProcessName, { running: Running; again: () => Promise<void> }>();

  constructor(options: ServiceProcessesOptions) {
    this.#options = options;
    this.#supervisor = new Supervisor(options.places.logs, options.onExit);
  }

  /** Starts one, unless somebody else does, with the flags that all have and these. */
  async run(name: ProcessName, flags: readonly string[]): Promise<void> {
    const { places, ports, origin, variant, metrics, without } = this.#options;
    if (without.includes(name)) return;
    const service = PROCESSES[name];
    const entry = variant?.service === service ? variant.entry : entryOf(service);
    await this.#start(name, entry, [
      ...(metrics === undefined ? [] : ['--metrics-port', String(metrics[name])]),
      '--port',
      String(ports[name]),
      '--data',
      places.data(name),
      '--platform',
      places.platform,
      '--portal-origin',
      origin,
      ...flags,
    ]);
  }

  /** Starts a key broker that is none of the deployment's. */
  runForeignBroker(name: string, flags: readonly string[]): Promise<Running> {
    return this.#supervisor.start(name, entryOf('key-broker'), flags);
  }

  /** Ends one, lets its host do something, and starts it again as it was. */
  async restart(name: ProcessName, meanwhile: () => void): Promise<void> {
    const found = this.#running.get(name);
    if (found === undefined) throw new CommandError(`${name} does not run`);
    await found.running.stop();
    meanwhile();
    await found.again();
  }

  /** Where those that were started serve metrics, if they do. */
  metricsUrls(): readonly string[] {
    const { metrics } = this.#options;
    if (metrics === undefined) return [];
    return Array.from(this.#running.keys(), (name) => `http://127.0.0.1:${metrics[name]}`);
  }

  /** Ends all of them. */
  stop(): Promise<void> {
    return this.#supervisor.stop();
  }

  async #start(name: ProcessName, entry: string, flags: readonly string[]): Promise<void> {
    const running = await this.#supervisor.start(name, entry, flags);
    this.#running.set(name, { running, again: () => this.#start(name, entry, flags) });
  }
}
