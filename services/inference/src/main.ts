import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  createIdentity,
  createSimulatedAttester,
  measureService,
  openSimulatedPlatform,
  PRODUCT_IDS,
} from '@cloister/attester';
import { createChannelKeys, encodeKeyConfigs } from '@cloister/channel';
import { createAttestationClient, ManifestFollower } from '@cloister/client';
import {
  ConfigError,
  createHttpClient,
  createLog,
  createMetrics,
  errorCode,
  loadConfig,
  loadTrust,
  nodeChannelPrimitives,
  serve,
  silenceExpectedWarnings,
  untilSignal,
} from '@cloister/service';
import { createApp } from './app.ts';
import { configSchema } from './config.ts';
import type { Events } from './events.ts';
import { rememberIssued } from './issued-evidence.ts';
import { openModelStore } from './models/model-store.ts';
import { agreedModels, modelIdentities, servedModels } from './models/served-model.ts';
import { createWorkerPool } from './models/worker-pool.ts';
import { openRelease, OWN_PARTY } from './trust/open-release.ts';

const SERVICE = 'inference';
/** A token names the heads of its time: it is replaced so often, to be recent wherever it is shown. */
const TOKENS_PER_LEASE = 3;
silenceExpectedWarnings(process);
const config = await loadConfig(configSchema, {
  env: process.env,
  args: process.argv.slice(2),
  readFile: (path) => readFile(path, 'utf8'),
});
const write = (line: string): void => void process.stdout.write(line);
const hostNow = (): Date => new Date();
const log = createLog<Events>({ service: SERVICE, write, now: hostNow });
const { platform: platformFolder, attestation } = config;
if (platformFolder === undefined) throw new ConfigError('platform: needed');
if (attestation === undefined) throw new ConfigError('attestation: needed');

const manifestFile = config.manifest ?? missing('manifest');
const readManifest = (): Promise<string> => readFile(manifestFile, 'utf8');
const trust = await loadTrust({ manifestFile, readFile: readManifest, ownParty: OWN_PARTY });
const follower = new ManifestFollower({ first: trust, ownParty: OWN_PARTY, now: hostNow });
const manifests = (): readonly string[] => follower.ids;
const platform = await openSimulatedPlatform(platformFolder);
const serviceFolder = fileURLToPath(new URL('..', import.meta.url));
const attester = createSimulatedAttester({
  platform,
  mrenclave: await measureService({
    root: rootAbove(serviceFolder),
    service: SERVICE,
    folder: serviceFolder,
  }),
  isvProdId: PRODUCT_IDS[SERVICE],
});
const brokers = config.brokers ?? missing('brokers');
const urls = [attestation, ...Object.values(brokers)];
const transport = createHttpClient({
  origins: [...new Set(urls.map((url) => new URL(url).origin))],
});
const released = await openRelease({
  follower,
  readManifest,
  brokers,
  // Evidence without a channel's key, which only brokers accept.
  identity: await createIdentity({ service: SERVICE, manifests, attester }),
  transport,
  now: hostNow,
  log,
});
const { now } = released;
const key = released.modelKey();
const store = await openModelStore({
  folder: config.modelStore,
  models: trust.manifest.models,
  key,
});
const pool = await createWorkerPool({
  models: store.models,
  size: config.workers ?? Math.max(1, Math.floor(availableParallelism() / 2)),
  onLost: (error) => log('worker_lost', { code: errorCode(error) }),
});
const models = servedModels(store, pool);
for (const [model, served] of models.entries()) {
  if ('refusal' in served) log('model_refused', { model, code: served.refusal });
}

// X-Wing unless the manifest lists others (design 5); the key is this process's alone.
const [kem = 'x-wing'] = trust.manifest.services[SERVICE]?.config?.kems ?? [];
const channelKeys = await createChannelKeys({
  kem,
  keyId: 1,
  primitives: nodeChannelPrimitives(),
});
const issuer = createAttestationClient({ baseUrl: attestation, transport });
const identity = await createIdentity({
  service: SERVICE,
  manifests,
  attester,
  ohttp: encodeKeyConfigs(channelKeys),
  models: () => modelIdentities(agreedModels(models, follower.trust.manifest)),
  heads: released.heads,
  tokenSeconds: trust.manifest.lease / TOKENS_PER_LEASE,
  now,
  tokens: async ({ evidence: quote, runtimeData }) => [
    await issuer.attest('Simulated', { quote, runtimeData }),
  ],
  onTokenFailure: (error) => log('token_missing', { code: errorCode(error) }),
});
const metrics = createMetrics();
const app = createApp({
  follower,
  models,
  pool,
  channelKeys,
  evidence: rememberIssued(identity, { lease: () => follower.trust.manifest.lease, now }),
  sigKey: identity.sigKey.privateKey,
  simulated: attester.format === 'simulated-sgx-quote',
  judgeHeads: released.judgeHeads,
  lease: released.lease,
  fetchIssuerKeys: () => issuer.certs(),
  origins: config.portalOrigin,
  now,
  newId: randomUUID,
  log,
  metrics,
});
const serving = await serve({ app, port: config.port, host: config.host });
const shown =
  config.metricsPort === undefined
    ? undefined
    : await serve({ app: metrics.app, port: config.metricsPort, host: config.host });
log('started', {
  models: modelIdentities(models).length,
  workers: pool.alive(),
  simulated: attester.format === 'simulated-sgx-quote',
});
write(`listening on ${serving.url}\n`);
const signal = await untilSignal(process);
log('stopping', { signal });
released.close();
await Promise.all([serving.close(), shown?.close(), pool.close()]);

function missing(setting: string): never {
  throw new ConfigError(`${setting}: needed`);
}

/** The repository's root: the nearest folder above with a lockfile. */
function rootAbove(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'package-lock.json'))) return at;
    if (dirname(at) === at) throw new ConfigError('sources: no lockfile above this service');
  }
}
