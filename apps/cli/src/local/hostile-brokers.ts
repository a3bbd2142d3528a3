import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BROKERS, placesIn, type BrokerParty, type Places } from './places.ts';
import { anyPorts, type Ports } from './ports.ts';
import { prepareDeployment } from './prepare.ts';
import type { Running } from './supervisor.ts';

/** What a host needs that has brokers of its own. */
export interface HostileOptions {
  /** Those of the parties: processor and attestation service are the same. */
  readonly places: Places;
  readonly ports: Ports;
  readonly origin: string;
  readonly attestation: string;
  /** Whether the host also has an agreement of its own, signed by keys that it made itself. */
  readonly agreement: boolean;
  readonly start: (name: string, args: readonly string[]) => Promise<Running>;
  readonly genuine: Readonly<Record<BrokerParty, string>>;
}

/**
 * Brokers that the host runs itself: genuine code with keys of its own. With an agreement of its own
 * they release to whatever is started by that; without, they stand in for the hospital's.
 */
export async function startHostileBrokers(
  options: HostileOptions,
): Promise<{ manifest: string; brokers: Readonly<Record<BrokerParty, string>> }> {
  const { places, genuine, agreement, origin, start } = options;
  const folder = join(places.folder, 'hostile');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const own = placesIn(folder);
  const hostile: Places = {
    ...own,
    platform: places.platform,
    data: (name) => (name === 'attestation' ? places.data(name) : own.data(name)),
  };
  if (agreement) {
    await prepareDeployment({
      places: hostile,
      ports: options.ports,
      origin,
      portal: false,
      cache: false,
      variant: undefined,
      tell: () => undefined,
    });
  }
  const ports = await anyPorts();
  const urls = {
    hospital: `http://127.0.0.1:${ports['broker-hospital']}`,
    diagnostics: `http://127.0.0.1:${ports['broker-diagnostics']}`,
  };
  const parties = agreement ? BROKERS : (['hospital'] as const);
  await Promise.all(
    parties.map((party) =>
      start(`hostile-${party}`, [
        '--port',
        String(ports[`broker-${party}`]),
        '--data',
        hostile.data(`broker-${party}`),
        '--platform',
        hostile.platform,
        '--manifest',
        agreement ? hostile.manifest : places.manifest,
        '--party',
        party,
        '--witness',
        party === 'hospital' ? urls.diagnostics : urls.hospital,
        '--attestation',
        options.attestation,
      ]),
    ),
  );
  return agreement
    ? { manifest: hostile.manifest, brokers: urls }
    : { manifest: places.manifest, brokers: { ...genuine, hospital: urls.hospital } };
}
