import { mkdirSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { platformRootDigest, type Manifest } from '@cloister/attestation';
import { measureService, openSimulatedPlatform } from '@cloister/attester';
import { readIfThere, openParties, type PartyKey } from './parties.ts';
import { writeAgreement } from './agreement.ts';
import { openAccounts, type Account } from './accounts.ts';
import { prepareIssuerKeys } from './issuer.ts';
import { readLocalModel, type LocalModel } from './model.ts';
import { sealLocalModel } from './seal-model.ts';
import {
  entryOf,
  PARTIES,
  placesIn,
  ROOT,
  SERVICES,
  type Party,
  type Places,
  type ServiceName,
} from './places.ts';
import { buildPortal } from './portal-build.ts';
import { hashPortalBuild, servePortal } from './portal-server.ts';
import { anyPorts, type Ports } from './ports.ts';
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
  /** Whether the services serve `/metrics`, each on a port of its own. */
  readonly metrics?: boolean;
  /** Puts something between two services: is given an address, gives the one to use instead. */
  readonly between?: (service: ServiceName, url: string) => Promise<string>;
  /** Told what happens, in words. */
  readonly tell: (line: string) => void;
  /** Told when a service ended by itself. */
  readonly onExit?: (name: string, code: number | null) => void;
}

/** A platform that runs: three services and, if wished, the portal. */
export interface Deployment {
  readonly urls: Readonly<Record<ServiceName, string>>;
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
 * parties, sealed model, trust manifest, portal), then starts the services as processes.
 */
export async function startDeployment(options: DeploymentOptions): Promise<Deployment> {
  const { folder, ports, tamper, tell } = options;
  const places = placesIn(folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const supervisor = new Supervisor(places.logs, options.onExit);
  const closers: (() => Promise<void> | void)[] = [() => supervisor.stop()];
  const stop = async (): Promise<void> => {
    for (const close of closers.toReversed()) await close();
  };
  try {
    const variant = variantOf(options);
    if (variant !== undefined) closers.unshift(() => removeVariant(variant));
    const origin = `http://127.0.0.1:${ports.portal}`;
    const { manifest, accounts } = await prepare(options, places, origin, variant);
    const metricsPorts = options.metrics === true ? await anyPorts() : undefined;
    const via = options.between ?? ((_service: ServiceName, url: string) => Promise.resolve(url));
    const common = (service: ServiceName) => [
      ...(metricsPorts === undefined ? [] : ['--metrics-port', String(metricsPorts[service])]),
      '--port',
      String(ports[service]),
      '--data',
      places.data(service),
      '--platform',
      places.platform,
      '--manifest',
      places.manifest,
      '--portal-origin',
      origin,
    ];
    const entry = (service: ServiceName) =>
      variant?.service === service ? variant.entry : entryOf(service);
    tell('starting the attestation service');
    const attestation = await supervisor.start(
      'attestation',
      entry('attestation'),
      common('attestation'),
    );
    const to = ['--attestation', await via('attestation', attestation.url)];
    tell("starting the provider's inference service");
    const inference = await supervisor.start('inference', entry('inference'), [
      ...common('inference'),
      ...to,
      '--model-store',
      places.models,
    ]);
    let provider = await via('inference', inference.url);
    if (tamper === 'quote' || tamper === 'token') {
      const host = await startTamperingHost(inference.url, tamper);
      closers.push(() => closeServer(host.server));
      provider = host.url;
    }
    tell('starting the records service');
    const records = await supervisor.start('records', entry('records'), [
      ...common('records'),
      ...to,
      '--inference',
      provider,
      '--accounts',
      accounts.file,
    ]);
    const urls = { attestation: attestation.url, records: records.url, inference: provider };
    if (options.portal) {
      const server = await servePortal({
        folder: places.portal,
        port: ports.portal,
        connect: [urls.records, urls.attestation],
        settings: () => ({
          records: urls.records,
          attestation: urls.attestation,
          deployment: manifest.deployment,
          manifest: JSON.parse(readIfThere(places.manifest) ?? 'null') as unknown,
        }),
      });
      closers.push(() => closeServer(server));
    }
    return {
      urls,
      portal: options.portal ? origin : undefined,
      places,
      manifest,
      accounts: accounts.accounts,
      metrics: SERVICES.flatMap((service) =>
        metricsPorts === undefined ? [] : [`http://127.0.0.1:${metricsPorts[service]}`],
      ),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Prepared {
  readonly manifest: Manifest;
  readonly accounts: { readonly file: string; readonly accounts: readonly Account[] };
}

async function prepare(
  { ports, portal, tamper, tell }: DeploymentOptions,
  places: Places,
  origin: string,
  variant: Variant | undefined,
): Promise<Prepared> {
  tell('measuring the services');
  const [platform, parties, measurements] = await Promise.all([
    openSimulatedPlatform(places.platform),
    openParties(places.parties),
    measureAll(variant?.agreed === true ? variant : undefined),
  ]);
  const model = readLocalModel();
  await sealLocalModel(places, platform, tamper === 'model' ? flipBit(model) : model);
  const accounts = openAccounts(places);
  const issuerKeys = await prepareIssuerKeys(places);
  writePins(places, parties);
  if (portal && (await buildPortal(places))) tell('built the portal');
  const manifest = await writeAgreement(places, {
    parties,
    measurements,
    simulatedRoot: await platformRootDigest(platform),
    issuer: { iss: `http://127.0.0.1:${ports.attestation}`, keys: issuerKeys },
    models: {
      [model.name]: { [model.version]: { digest: model.digest, contract: model.contractDigest } },
    },
    portal: { origin, build: hashPortalBuild(places.portal) },
  });
  tell(`the trust manifest has serial ${manifest.serial}`);
  return { manifest, accounts };
}

/** The measurement of each service; of its variant where the parties agreed on that. */
async function measureAll(variant: Variant | undefined): Promise<Record<ServiceName, string>> {
  const [attestation = '', inference = '', records = ''] = await Promise.all(
    SERVICES.map((service) =>
      measureService({
        root: ROOT,
        service,
        ...(service === variant?.service ? { folder: variant.folder } : {}),
      }),
    ),
  );
  return { attestation, inference, records };
}

function variantOf({ tamper, variant }: DeploymentOptions): Variant | undefined {
  if (variant !== undefined) return makeVariant(variant);
  const service = 'inference';
  if (tamper === 'measurement') return makeVariant({ service, change: 'comment', agreed: false });
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

/** What the portal's build holds: the parties' keys and the lowest serial (design 3.6). */
function writePins(places: Places, parties: Readonly<Record<Party, PartyKey>>): void {
  const pins = {
    ownParty: 'hospital',
    lowestSerial: 1,
    parties: Object.fromEntries(PARTIES.map((party) => [party, [parties[party].publicJwk]])),
  };
  const text = `${JSON.stringify(pins)}\n`;
  if (readIfThere(places.portalPins) !== text) writeFileSync(places.portalPins, text);
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}
