import { mkdirSync } from 'node:fs';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { Manifest } from '@cloister/attestation';
import { createHttpClient } from '@cloister/service';
import { CommandError } from '../command-error.ts';
import type { Account } from './accounts.ts';
import { writeBehindHospital } from './agreement.ts';
import { startFreezingHost } from './freezing-host.ts';
import { startHostileBrokers } from './hostile-brokers.ts';
import type { LocalModel } from './model.ts';
import { readIfThere } from './parties.ts';
import {
  BROKERS,
  entryOf,
  placesIn,
  PROCESSES,
  type BrokerParty,
  type Places,
  type ProcessName,
} from './places.ts';
import { servePortal } from './portal-server.ts';
import { anyPorts, type Ports } from './ports.ts';
import { prepareDeployment, type Prepared } from './prepare.ts';
import { sealLocalModel } from './seal-model.ts';
import { Supervisor, type Running } from './supervisor.ts';
import {
  makeVariant,
  removeVariant,
  startTamperingHost,
  type Tamper,
  type Variant,
  type VariantOptions,
} from './tamper.ts';

/** What to run, and where. */
export interface DeploymentOptions {
  readonly folder: string;
  readonly ports: Ports;
  /** Whether the portal is built and served too. */
  readonly portal: boolean;
  /** Where a Redis is: `unix:/path` or `redis://127.0.0.1:6379`. Without it there is no cache gate. */
  readonly redis?: string | undefined;
  /** One party cheats, to see where it is stopped. */
  readonly tamper?: Tamper;
  /** One service runs other code than the published one. */
  readonly variant?: VariantOptions;
  /** Seconds of a lease; those of design 2.1 unless told. */
  readonly lease?: number;
  /** Processes that somebody else starts, at the ports that were given. */
  readonly without?: readonly ProcessName[];
  /** Whether the services serve `/metrics`, each on a port of its own. */
  readonly metrics?: boolean;
  /** Puts something between two services: is given an address, gives the one to use instead. */
  readonly between?: (name: ProcessName, url: string) => Promise<string>;
  /** Told what happens, in words. */
  readonly tell: (line: string) => void;
  /** Told when a service ended by itself. */
  readonly onExit?: (name: string, code: number | null) => void;
}

/** A platform that runs: its services, two key brokers and, if wished, the portal. */
export interface Deployment {
  readonly urls: {
    readonly attestation: string;
    readonly records: string;
    readonly inference: string;
    /** The gate before Redis, where there is one: where it gives evidence, and where it speaks RESP. */
    readonly cache?: { readonly url: string; readonly port: number } | undefined;
    /** The key broker of each party that has one. */
    readonly brokers: Readonly<Record<BrokerParty, string>>;
  };
  readonly portal: string | undefined;
  readonly places: Places;
  readonly manifest: Manifest;
  readonly accounts: readonly Account[];
  /** Where metrics are served, if they are. */
  readonly metrics: readonly string[];
  /** Ends one process, lets its host do something, and starts it again as it was. */
  restart(name: ProcessName, meanwhile: () => void): Promise<void>;
  /** Ends all of it. */
  stop(): Promise<void>;
}

/**
 * Runs the whole platform on this machine: makes what is missing (simulated processor, keys of the
 * parties, trust manifest, portal), then starts the services as processes. Keys for data come from
 * the brokers, and only to what the manifest admits.
 */
export async function startDeployment(options: DeploymentOptions): Promise<Deployment> {
  const places = placesIn(options.folder);
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const line = new LocalLine(options, places);
  try {
    return await line.start();
  } catch (error) {
    await line.stop();
    throw error;
  }
}

/** The processes of one deployment, and the order in which they start. */
class LocalLine {
  readonly #options: DeploymentOptions;
  readonly #places: Places;
  readonly #supervisor: Supervisor;
  readonly #closers: (() => Promise<void> | void)[] = [];
  readonly #transport = createHttpClient();
  /** The processes that were started. */
  readonly #names: ProcessName[] = [];
  readonly #running = new Map<ProcessName, { running: Running; again: () => Promise<void> }>();
  #variant: Variant | undefined;
  #metrics: Ports | undefined;

  constructor(options: DeploymentOptions, places: Places) {
    this.#options = options;
    this.#places = places;
    this.#supervisor = new Supervisor(places.logs, options.onExit);
    this.#closers.push(() => this.#supervisor.stop());
  }

  async start(): Promise<Deployment> {
    const { ports, portal, redis, tamper, tell } = this.#options;
    this.#variant = variantOf(this.#options);
    const variant = this.#variant;
    if (variant !== undefined) this.#closers.unshift(() => removeVariant(variant));
    this.#metrics = this.#options.metrics === true ? await anyPorts() : undefined;
    const places = this.#places;
    const prepared = await prepareDeployment({
      places,
      ports,
      origin: this.#origin,
      portal,
      cache: redis !== undefined,
      variant,
      lease: tamper === 'stale-head' ? SHORT_LEASE : this.#options.lease,
      quorum: tamper === 'manifest' ? 2 : undefined,
      tell,
    });
    tell('starting the attestation service and the key brokers of hospital and provider');
    const attestationUrl = await this.#via('attestation');
    const brokers = {
      hospital: await this.#via('broker-hospital'),
      diagnostics: await this.#via('broker-diagnostics'),
    };
    await Promise.all([
      this.#run('attestation', ['--manifest', places.manifest]),
      ...BROKERS.map((party) => this.#runBroker(party, brokers, attestationUrl)),
    ]);
    await this.#sealModel(prepared, brokers.diagnostics);
    tell("starting the provider's inference service and the platform's records service");
    const provider = await this.#providerUrl();
    const to = ['--attestation', attestationUrl];
    const given = await this.#whatRecordsGets(prepared, brokers, attestationUrl);
    await Promise.all([
      this.#run('records', [
        ...to,
        '--brokers',
        flagOf(given.brokers),
        '--manifest',
        given.manifest,
        '--inference',
        provider,
        '--accounts',
        prepared.accounts.file,
        ...(redis === undefined
          ? []
          : ['--cache', await this.#via('cache'), '--cache-port', String(ports.gate)]),
      ]),
      ...(redis === undefined
        ? []
        : [
            this.#run('cache', [
              ...to,
              '--brokers',
              flagOf(brokers),
              '--manifest',
              places.manifest,
              '--redis',
              redis,
              '--gate-port',
              String(ports.gate),
            ]),
          ]),
      ...(STOPPED_BEFORE.includes(tamper)
        ? []
        : [
            this.#run('inference', [
              ...to,
              '--brokers',
              flagOf(brokers),
              '--manifest',
              places.manifest,
              '--model-store',
              places.models,
            ]),
          ]),
    ]);
    const urls = {
      attestation: urlOf(ports.attestation),
      records: urlOf(ports.records),
      ...(redis === undefined ? {} : { cache: { url: urlOf(ports.cache), port: ports.gate } }),
      inference: tamper === undefined ? urlOf(ports.inference) : provider,
      brokers: {
        hospital: urlOf(ports['broker-hospital']),
        diagnostics: urlOf(ports['broker-diagnostics']),
      },
    };
    if (portal) await this.#servePortal(urls, prepared);
    return {
      urls,
      portal: portal ? this.#origin : undefined,
      places,
      manifest: prepared.trust.manifest,
      accounts: prepared.accounts.accounts,
      metrics: this.#metricsUrls(),
      restart: (name, meanwhile) => this.#restart(name, meanwhile),
      stop: () => this.stop(),
    };
  }

  async stop(): Promise<void> {
    this.#transport.close();
    for (const close of this.#closers.toReversed()) await close();
  }

  get #origin(): string {
    return urlOf(this.#options.ports.portal);
  }

  /** Where others reach a process: at its address, or at what was put between. */
  #via(name: ProcessName): Promise<string> {
    const url = urlOf(this.#options.ports[name]);
    return this.#options.between?.(name, url) ?? Promise.resolve(url);
  }

  async #run(name: ProcessName, args: readonly string[]): Promise<void> {
    if (this.#options.without?.includes(name) === true) return;
    const service = PROCESSES[name];
    this.#names.push(name);
    const variant = this.#variant?.service === service ? this.#variant : undefined;
    const entry = variant?.entry ?? entryOf(service);
    await this.#start(name, entry, [
      ...(this.#metrics === undefined ? [] : ['--metrics-port', String(this.#metrics[name])]),
      '--port',
      String(this.#options.ports[name]),
      '--data',
      this.#places.data(name),
      '--platform',
      this.#places.platform,
      '--portal-origin',
      this.#origin,
      ...args,
    ]);
  }

  async #start(name: ProcessName, entry: string, args: readonly string[]): Promise<void> {
    const running = await this.#supervisor.start(name, entry, args);
    this.#running.set(name, { running, again: () => this.#start(name, entry, args) });
  }

  async #restart(name: ProcessName, meanwhile: () => void): Promise<void> {
    const found = this.#running.get(name);
    if (found === undefined) throw new CommandError(`${name} does not run`);
    await found.running.stop();
    meanwhile();
    await found.again();
  }

  /** What its host gives to `records`: as agreed, unless that is where somebody cheats. */
  async #whatRecordsGets(
    { parties }: Prepared,
    brokers: Readonly<Record<BrokerParty, string>>,
    attestation: string,
  ): Promise<{ manifest: string; brokers: Readonly<Record<BrokerParty, string>> }> {
    const places = this.#places;
    const { tamper, ports } = this.#options;
    const honest = { manifest: places.manifest, brokers };
    if (tamper === 'manifest')
      return { ...honest, manifest: await writeBehindHospital(places, parties) };
    if (tamper === 'stale-head') {
      const host = await startFreezingHost(brokers.hospital);
      this.#closers.push(() => closeServer(host.server));
      return { ...honest, brokers: { ...brokers, hospital: host.url } };
    }
    if (tamper !== 'broker' && tamper !== 'config') return honest;
    return startHostileBrokers({
      places,
      ports,
      origin: this.#origin,
      attestation,
      // For `broker`: genuine, with keys of its own. For `config`: with an agreement of their own too.
      agreement: tamper === 'config',
      start: (name, args) => this.#supervisor.start(name, entryOf('key-broker'), args),
      genuine: brokers,
    });
  }

  #runBroker(
    party: BrokerParty,
    brokers: Readonly<Record<BrokerParty, string>>,
    attestation: string,
  ): Promise<void> {
    const witness = party === 'hospital' ? brokers.diagnostics : brokers.hospital;
    return this.#run(`broker-${party}`, [
      '--manifest',
      this.#places.manifest,
      '--party',
      party,
      '--witness',
      witness,
      '--attestation',
      attestation,
    ]);
  }

  #sealModel({ model, parties, trust }: Prepared, url: string): Promise<void> {
    const given = this.#options.tamper === 'model' ? flipBit(model) : model;
    return sealLocalModel(this.#places, given, {
      url,
      manifest: trust,
      party: parties.diagnostics,
      transport: this.#transport,
    });
  }

  /** Where `records` reaches the provider: through a host that alters its evidence, if one cheats. */
  async #providerUrl(): Promise<string> {
    const { tamper } = this.#options;
    const url = await this.#via('inference');
    if (tamper !== 'quote' && tamper !== 'token') return url;
    const host = await startTamperingHost(url, tamper);
    this.#closers.push(() => closeServer(host.server));
    return host.url;
  }

  async #servePortal(urls: Deployment['urls'], { trust }: Prepared): Promise<void> {
    const places = this.#places;
    const broker = urls.brokers.hospital;
    const server = await servePortal({
      folder: places.portal,
      port: this.#options.ports.portal,
      connect: [urls.records, urls.attestation, broker],
      settings: () => ({
        records: urls.records,
        attestation: urls.attestation,
        broker,
        deployment: trust.manifest.deployment,
        manifest: JSON.parse(readIfThere(places.manifest) ?? 'null') as unknown,
      }),
    });
    this.#closers.push(() => closeServer(server));
  }

  #metricsUrls(): readonly string[] {
    const ports = this.#metrics;
    if (ports === undefined) return [];
    return this.#names.map((name) => urlOf(ports[name]));
  }
}

/** Where it is seen that heads grow old: an agreement by which that takes seconds. */
export const SHORT_LEASE = 8;
/** Where somebody cheats before the provider is asked, it need not run. */
const STOPPED_BEFORE: readonly (Tamper | undefined)[] = [
  'config',
  'broker',
  'manifest',
  'rollback',
  'stale-head',
];

const urlOf = (port: number): string => `http://127.0.0.1:${port}`;

function flagOf(brokers: Readonly<Record<BrokerParty, string>>): string {
  return BROKERS.map((party) => `${party}=${brokers[party]}`).join(',');
}

function variantOf({ tamper, variant }: DeploymentOptions): Variant | undefined {
  if (variant !== undefined) return makeVariant(variant);
  const service = 'inference';
  if (tamper === 'measurement') return makeVariant({ service, change: 'own-keys', agreed: false });
  if (tamper === 'receipt') return makeVariant({ service, change: 'receipt', agreed: true });
  return undefined;
}

/** The model with one bit of its weights flipped: it would load, and answer something else. */
function flipBit(model: LocalModel): LocalModel {
  const bytes = Uint8Array.from(model.model);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return { ...model, model: bytes };
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}
