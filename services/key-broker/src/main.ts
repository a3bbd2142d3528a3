import { randomBytes } from 'node:crypto';
import { existsSync, globSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseManifestFile, type ManifestFile } from '@cloister/attestation';
import {
  createIdentity,
  createSimulatedAttester,
  measureService,
  openSealedSecrets,
  openSimulatedPlatform,
  PRODUCT_IDS,
  SIMULATED_MRSIGNER,
} from '@cloister/attester';
import { createChannelKeys } from '@cloister/channel';
import { createAttestationClient } from '@cloister/client';
import type { Random } from '@cloister/sealing';
import {
  ConfigError,
  createHttpClient,
  createLog,
  createMetrics,
  errorCode,
  errorPlace,
  loadConfig,
  nodeChannelPrimitives,
  opaqueId,
  openStore,
  routeTemplate,
  runMain,
  serve,
  silenceExpectedWarnings,
  untilSignal,
  type Serving,
  type Store,
} from '@cloister/service';
import { Broker } from './broker.ts';
import { createBrokerIdentity, NO_MANIFEST, type BrokerIdentity } from './broker-identity.ts';
import { build } from './build.ts';
import { collateralOf } from './collateral.ts';
import { configSchema, type Config } from './config.ts';
import { startDuties } from './duties.ts';
import type { Events } from './events.ts';
import { askReplica } from './recovery/ask-replica.ts';
import { vaultRoutes } from './routes/vault.ts';
import { serveVault } from './serve-vault.ts';
import { openVaultSigner } from './vault/vault-certificate.ts';

const SERVICE = 'key-broker';
const write = (line: string): void => void process.stdout.write(line);
const now = (): Date => new Date();
const random: Random = (length) => new Uint8Array(randomBytes(length));
const log = createLog<Events>({ service: SERVICE, write, now });
silenceExpectedWarnings(process);

await runMain(process, async () => {
  const config = await loadConfig(configSchema, {
    env: process.env,
    args: process.argv.slice(2),
    readFile: (path) => readFile(path, 'utf8'),
  });
  const data = config.data ?? missing('data');
  await mkdir(data, { recursive: true, mode: 0o700 });
  const store = await openStore(config.store ?? join(data, 'broker.db'), {
    schema: `broker_${config.party.replaceAll('-', '_')}`.slice(0, 40),
  });
  try {
    await run(config, data, store);
  } finally {
    await store.close();
  }
});

async function run(config: Config, data: string, store: Store): Promise<void> {
  const platform = await openSimulatedPlatform(config.platform ?? missing('platform'));
  const isvProdId = PRODUCT_IDS[SERVICE];
  const folder = join(data, 'secrets');
  const sealing = { folder, platform, mrsigner: SIMULATED_MRSIGNER, isvProdId };
  const transport = createHttpClient({
    origins: [config.witness, config.attestation, config.replica].flatMap((url) =>
      url === undefined ? [] : [new URL(url).origin],
    ),
    timeoutMs: 10_000,
  });
  let identity: BrokerIdentity | undefined;
  const broker = await Broker.open({
    party: config.party,
    store,
    secrets: openSealedSecrets(sealing),
    random,
    now,
    transport,
    witness: config.witness,
    onManifest: async ({ id, manifest }) => {
      await identity?.follow(id);
      log('manifest_active', { manifest: opaqueId(id), serial: manifest.serial });
    },
  });
  if (config.prepare) {
    const { jwk, thumbprint } = broker.requireOpen().keys;
    write(`${JSON.stringify({ party: broker.party, brokerKey: jwk, thumbprint })}\n`);
    transport.close();
    return;
  }
  const mrenclave = await measureService({
    root: rootAbove(here()),
    service: SERVICE,
    folder: here(),
  });
  const attester = createSimulatedAttester({ platform, mrenclave, isvProdId });
  log('starting', { simulated: attester.format === 'simulated-sgx-quote' });
  await takeManifests(broker, await manifestFiles(config));
  const channelKeys = await createChannelKeys({
    kem: 'x-wing',
    keyId: 1,
    primitives: nodeChannelPrimitives(),
  });
  identity = await createBrokerIdentity({
    manifestId: broker.trust?.id ?? NO_MANIFEST,
    channelKeys,
    identify: (manifest, ohttp) =>
      createIdentity({ service: SERVICE, manifests: [manifest], attester, ohttp }),
  });

  let publicUrl = config.publicUrl ?? '';
  let vaultUrl = `https://${config.vaultHost}`;
  // A sealed broker has no vault: it is there after the next start.
  const signer =
    config.vaultPort === undefined || broker.opened === undefined
      ? undefined
      : await openVaultSigner(config.vaultHost, {
          store,
          seal: broker.opened.keys.seal,
          random,
          at: now(),
        });
  const { attestation } = config;
  const issuer =
    attestation === undefined
      ? undefined
      : createAttestationClient({ baseUrl: attestation, transport });
  const metrics = createMetrics();
  const count = metrics.counter('cloister_http_requests_total', 'Requests by route and status.');
  const { app, vault } = build({
    broker,
    store,
    random,
    now,
    quote: identity,
    channelKeys,
    collateral: collateralOf(platform, issuer),
    fetchIssuerKeys: () => (issuer ?? missing('attestation')).certs(),
    issuer: () => publicUrl,
    origins: config.portalOrigin,
    log,
    observe: ({ method, route, status }) => count({ method, route: routeTemplate(route), status }),
    vault: signer === undefined ? undefined : { signer: () => signer, baseUrl: () => vaultUrl },
  });
  const serving = await serve({ app, port: config.port, host: config.host });
  publicUrl = config.publicUrl ?? serving.url;
  const others: (Serving | undefined)[] = [];
  if (config.metricsPort !== undefined)
    others.push(await serve({ app: metrics.app, port: config.metricsPort, host: config.host }));
  if (vault !== undefined && signer !== undefined && config.vaultPort !== undefined) {
    const routes = vaultRoutes(vault, () => vaultUrl);
    const shown = await serveVault(routes, signer, { port: config.vaultPort, host: config.host });
    vaultUrl = `https://${config.vaultHost}:${new URL(shown.url).port}`;
    others.push(shown);
  }
  const { replica } = config;
  const me = identity;
  const unseal = async (): Promise<void> => {
    if (replica === undefined) return;
    const source = { url: replica, identity: () => me.current(), transport, now, random };
    const code = await askReplica(broker, source);
    if (code !== undefined) log('replica_refused', { code: errorCode({ code }) });
  };
  const duties = startDuties(broker, {
    unseal,
    onError: (error) =>
      log('failed', {
        route: routeTemplate('duties'),
        code: errorCode(error),
        where: errorPlace(error),
      }),
    onPhase: (state) => log('state', { state }),
  });
  await duties.tick();
  log('started', {
    state: broker.phase,
    entries: broker.opened?.journal.tree.size ?? 0,
  });
  write(`listening on ${serving.url}\n`);
  if (vault !== undefined) write(`vault on ${vaultUrl}\n`);
  const signal = await untilSignal(process);
  log('stopping', { signal });
  duties.stop();
  broker.heads.close();
  await Promise.all([serving.close(), ...others.map((other) => other?.close())]);
  transport.close();
}

/** The manifest files that the host gave, in the order of their serials. */
async function manifestFiles({ manifest, manifests }: Config): Promise<readonly ManifestFile[]> {
  const paths = [
    ...(manifests === undefined ? [] : globSync(join(manifests, '*.json'))),
    ...(manifest === undefined ? [] : [manifest]),
  ];
  const files = await Promise.all(
    paths.map(async (path) => parseManifestFile(await readFile(path, 'utf8'))),
  );
  return files.toSorted((a, b) => a.manifest.serial - b.manifest.serial);
}

/** Takes those in that follow; one that is refused changes nothing, and does not stop the broker. */
async function takeManifests(broker: Broker, files: readonly ManifestFile[]): Promise<void> {
  for (const file of files) {
    if (broker.opened === undefined) return;
    if (file.manifest.serial <= (broker.trust?.manifest.serial ?? 0)) continue;
    try {
      await broker.activate(file);
    } catch (error) {
      log('manifest_refused', { code: errorCode(error) });
    }
  }
}

function missing(setting: string): never {
  throw new ConfigError(`${setting}: needed`);
}

function here(): string {
  return fileURLToPath(new URL('..', import.meta.url));
}

/** The repository's root: the nearest folder above with a lockfile. */
function rootAbove(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'package-lock.json'))) return at;
    if (dirname(at) === at) throw new ConfigError('sources: no lockfile above this service');
  }
}
