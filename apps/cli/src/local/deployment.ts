import { mkdirSync } from 'node:fs';
import type { Manifest } from '@cloister/attestation';
import { createHttpClient } from '@cloister/service';
import type { Account } from './accounts.ts';
import { closeServer } from './close-server.ts';
import { readIfThere } from './parties.ts';
import { BROKERS, placesIn, type BrokerParty, type Places, type ProcessName } from './places.ts';
import { servePortal } from './portal-server.ts';
import { anyPorts, type Ports } from './ports.ts';
import { prepareDeployment, type Prepared } from './prepare.ts';
import { sealLocalModel } from './seal-model.ts';
import {
  brokerFlags,
  cacheFlags,
  inferenceFlags,
  recordsFlags,
  type Common,
} from './service-flags.ts';
import { ServiceProcesses } from './service-processes.ts';
import {
  agreementFor,
  hostBeforeProvider,
  modelFor,
  needsProvider,
  recordsSettingsFor,
  variantFor,
  type Tamper,
} from './tamper.ts';
import { makeVariant, removeVariant, type Variant, type VariantOptions } from './variant.ts';

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

/** One deployment, and the order in which its parts start. */
class LocalLine {
  readonly #options: DeploymentOptions;
  readonly #places: Places;
  /** What ends it: the last to start is the first to end. */
  readonly #closers: (() => Promise<void> | void)[] = [];
  readonly #transport = createHttpClient();

  constructor(options: DeploymentOptions, places: Places) {
    this.#options = options;
    this.#places = places;
  }

  async start(): Promise<Deployment> {
    const { ports, portal, tamper, tell } = this.#options;
    const places = this.#places;
    const variant = this.#makeVariant();
    const prepared = await prepareDeployment({
      places,
      ports,
      origin: this.#origin,
      portal,
      cache: this.#options.redis !== undefined,
      variant,
      lease: this.#options.lease,
      ...agreementFor(tamper),
      tell,
    });
    const processes = new ServiceProcesses({
      places,
      ports,
      origin: this.#origin,
      variant,
      metrics: this.#options.metrics === true ? await anyPorts() : undefined,
      without: this.#options.without ?? [],
      onExit: this.#options.onExit,
    });
    this.#closers.push(() => processes.stop());

    tell('starting the attestation service and the key brokers of hospital and provider');
    const common = {
      manifest: places.manifest,
      attestation: await this.#via('attestation'),
      brokers: {
        hospital: await this.#via('broker-hospital'),
        diagnostics: await this.#via('broker-diagnostics'),
      },
    };
    await Promise.all([
      processes.run('attestation', ['--manifest', places.manifest]),
      ...BROKERS.map((party) => processes.run(`broker-${party}`, brokerFlags(party, common))),
    ]);
    await this.#sealModel(prepared, common.brokers.diagnostics);

    tell("starting the provider's inference service and the platform's records service");
    const provider = await this.#providerUrl();
    await Promise.all([
      this.#runRecords(processes, prepared, { common, provider }),
      this.#runCache(processes, common),
      needsProvider(tamper)
        ? processes.run('inference', inferenceFlags(places.models, common))
        : undefined,
    ]);
    const urls = this.#urls(provider);
    if (portal) await this.#servePortal(urls, prepared);
    return {
      urls,
      portal: portal ? this.#origin : undefined,
      places,
      manifest: prepared.trust.manifest,
      accounts: prepared.accounts.accounts,
      metrics: processes.metricsUrls(),
      restart: (name, meanwhile) => processes.restart(name, meanwhile),
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

  #makeVariant(): Variant | undefined {
    const options = this.#options.variant ?? variantFor(this.#options.tamper);
    if (options === undefined) return undefined;
    const variant = makeVariant(options);
    this.#closers.push(() => removeVariant(variant));
    return variant;
  }

  #sealModel({ model, parties, trust }: Prepared, url: string): Promise<void> {
    return sealLocalModel(this.#places, modelFor(this.#options.tamper, model), {
      url,
      manifest: trust,
      party: parties.diagnostics,
      transport: this.#transport,
    });
  }

  /** Where `records` reaches the provider: through a host that alters its evidence, if one cheats. */
  async #providerUrl(): Promise<string> {
    const url = await this.#via('inference');
    const host = await hostBeforeProvider(this.#options.tamper, url);
    if (host === undefined) return url;
    this.#closers.push(() => host.close());
    return host.url;
  }

  /** Starts `records` with what its host gives it: as agreed, unless that is where somebody cheats. */
  async #runRecords(
    processes: ServiceProcesses,
    prepared: Prepared,
    { common, provider }: { readonly common: Common; readonly provider: string },
  ): Promise<void> {
    const { tamper, redis, ports } = this.#options;
    const { host, ...given } = await recordsSettingsFor(tamper, prepared, {
      places: this.#places,
      ports,
      origin: this.#origin,
      attestation: common.attestation,
      start: (name, flags) => processes.runForeignBroker(name, flags),
      genuine: common.brokers,
    });
    if (host !== undefined) this.#closers.push(() => host.close());
    const cache =
      redis === undefined ? undefined : { url: await this.#via('cache'), port: ports.gate };
    const accounts = prepared.accounts.file;
    const flags = recordsFlags({ provider, accounts, cache }, { ...common, ...given });
    await processes.run('records', flags);
  }

  async #runCache(processes: ServiceProcesses, common: Common): Promise<void> {
    const { redis, ports } = this.#options;
    if (redis === undefined) return;
    await processes.run('cache', cacheFlags({ redis, port: ports.gate }, common));
  }

  #urls(provider: string): Deployment['urls'] {
    const { ports, redis, tamper } = this.#options;
    return {
      attestation: urlOf(ports.attestation),
      records: urlOf(ports.records),
      ...(redis === undefined ? {} : { cache: { url: urlOf(ports.cache), port: ports.gate } }),
      inference: tamper === undefined ? urlOf(ports.inference) : provider,
      brokers: {
        hospital: urlOf(ports['broker-hospital']),
        diagnostics: urlOf(ports['broker-diagnostics']),
      },
    };
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
}

const urlOf = (port: number): string => `http://127.0.0.1:${port}`;
