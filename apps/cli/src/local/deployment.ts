import { mkdirSync } from 'node:fs';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { Manifest } from '@cloister/attestation';
import { createHttpClient } from '@cloister/service';
import type { Account } from './accounts.ts';
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
import { Supervisor } from './supervisor.ts';
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
  /** One party cheats, to see where it is stopped. */
  readonly tamper?: Tamper;
  /** One service runs other code than the published one. */
  readonly variant?: VariantOptions;
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
    /** The key broker of each party that has one. */
    readonly brokers: Readonly<Record<BrokerParty, string>>;
  };
  readonly portal: string | undefined;
  readonly places: Places;
  readonly manifest: Manifest;
  readonly accounts: readonly Account[];
  /** Where metrics are served, if they are. */
  readonly metrics: readonly string[];
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
  #variant: Variant | undefined;
  #metrics: Ports | undefined;

  constructor(options: DeploymentOptions, places: Places) {
    this.#options = options;
    this.#places = places;
    this.#supervisor = new Supervisor(places.logs, options.onExit);
    this.#closers.push(() => this.#supervisor.stop());
  }

  async start(): Promise<Deployment> {
    const { ports, portal, tamper, tell } = this.#options;
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
      cache: false,
      variant,
      tell,
    });
    tell('starting the attestation service and the key brokers of hospital and provider');
    const attestationUrl = await this.#via('attestation');
    const brokers = {
      hospital: await this.#via('broker-hospital'),
      diagnostics: await this.#via('broker-diagnostics'),
    };
    await Promise.all([
      this.#run('attestation', []),
      ...BROKERS.map((party) => this.#runBroker(party, brokers, attestationUrl)),
    ]);
    await this.#sealModel(prepared, brokers.diagnostics);
    tell("starting the provider's inference service and the platform's records service");
    const provider = await this.#providerUrl();
    const to = ['--attestation', attestationUrl, '--brokers', flagOf(brokers)];
    await Promise.all([
      this.#run('records', [...to, '--inference', provider, '--accounts', prepared.accounts.file]),
      this.#run('inference', [...to, '--model-store', places.models]),
    ]);
    const urls = {
      attestation: urlOf(ports.attestation),
      records: urlOf(ports.records),
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
    await this.#supervisor.start(name, variant?.entry ?? entryOf(service), [
      ...(this.#metrics === undefined ? [] : ['--metrics-port', String(this.#metrics[name])]),
      '--port',
      String(this.#options.ports[name]),
      '--data',
      this.#places.data(name),
      '--platform',
      this.#places.platform,
      '--manifest',
      this.#places.manifest,
      '--portal-origin',
      this.#origin,
      ...args,
    ]);
  }

  #runBroker(
    party: BrokerParty,
    brokers: Readonly<Record<BrokerParty, string>>,
    attestation: string,
  ): Promise<void> {
    const witness = party === 'hospital' ? brokers.diagnostics : brokers.hospital;
    return this.#run(`broker-${party}`, [
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
