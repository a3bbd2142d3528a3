import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root: what is measured and where the services' sources lie. */
export const ROOT: string = fileURLToPath(new URL('../../../../', import.meta.url));

/** The parties of a local deployment; one machine holds all their keys, which is only for trying. */
export const PARTIES = ['hospital', 'platform', 'diagnostics'] as const;
/** One of the three parties. */
export type Party = (typeof PARTIES)[number];

/** The parties that own data: each runs a key broker, and witnesses the other's. */
export const BROKERS = ['hospital', 'diagnostics'] as const;
/** One of the parties with a broker. */
export type BrokerParty = (typeof BROKERS)[number];

/** The services that there are. */
export const SERVICES = ['attestation', 'key-broker', 'cache', 'inference', 'records'] as const;
/** Name of a service. */
export type ServiceName = (typeof SERVICES)[number];

/** Name of a process of a local deployment: a service, or one of the two brokers. */
export type ProcessName = Exclude<ServiceName, 'key-broker'> | `broker-${BrokerParty}`;

/** The processes, in the order in which they start, and the service that each of them is. */
export const PROCESSES: Readonly<Record<ProcessName, ServiceName>> = {
  attestation: 'attestation',
  'broker-hospital': 'key-broker',
  'broker-diagnostics': 'key-broker',
  cache: 'cache',
  inference: 'inference',
  records: 'records',
};

/** Where a local deployment keeps its files: all below one folder. */
export interface Places {
  readonly folder: string;
  /** The simulated processor: shared by all services of this machine. */
  readonly platform: string;
  readonly parties: string;
  readonly manifest: string;
  readonly portal: string;
  readonly portalPins: string;
  /** The provider's store of sealed models. */
  readonly models: string;
  readonly logs: string;
  data(name: ProcessName): string;
}

/** The places of the deployment in `folder`. */
export function placesIn(folder: string): Places {
  return {
    folder,
    platform: join(folder, 'platform'),
    parties: join(folder, 'parties'),
    manifest: join(folder, 'manifest.json'),
    portal: join(folder, 'portal'),
    portalPins: join(folder, 'portal-pins.json'),
    models: join(folder, 'models'),
    logs: join(folder, 'logs'),
    data: (name) => join(folder, name),
  };
}

/** Entry point of a service, started as a process. */
export function entryOf(service: ServiceName): string {
  return join(ROOT, 'services', service, 'src', 'main.ts');
}
