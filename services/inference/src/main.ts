import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  AttesterError,
  createIdentity,
  createSimulatedAttester,
  measureService,
  openSealedSecrets,
  openSimulatedPlatform,
  PRODUCT_IDS,
  SIMULATED_MRSIGNER,
  type SimulatedMachine,
} from '@cloister/attester';
import type { Bytes } from '@cloister/bytes';
import { createChannelKeys, encodeKeyConfigs } from '@cloister/channel';
import { createAttestationClient } from '@cloister/client';
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
import { modelIdentities, servedModels } from './models/served-model.ts';
import { createWorkerPool } from './models/worker-pool.ts';

const SERVICE = 'inference';
silenceExpectedWarnings(process);
const config = await loadConfig(configSchema, {
  env: process.env,
  args: process.argv.slice(2),
  readFile: (path) => readFile(path, 'utf8'),
});
const write = (line: string): void => void process.stdout.write(line);
const now = (): Date => new Date();
const log = createLog<Events>({ service: SERVICE, write, now });
const { platform: platformFolder, data, attestation } = config;
if (platformFolder === undefined) throw new ConfigError('platform: needed');
if (data === undefined) throw new ConfigError('data: needed');
if (attestation === undefined) throw new ConfigError('attestation: needed');

const trust = await loadTrust({
  manifestFile: config.manifest ?? missing('manifest'),
  readFile: (path) => readFile(path, 'utf8'),
});
const platform = await openSimulatedPlatform(platformFolder);
const key = await modelKey(platform, data);
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
const transport = createHttpClient({ origins: [new URL(attestation).origin] });
const issuer = createAttestationClient({ baseUrl: attestation, transport });
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
const identity = await createIdentity({
  service: SERVICE,
  manifests: [trust.id],
  attester,
  ohttp: encodeKeyConfigs(channelKeys),
  models: modelIdentities(models),
  tokens: async ({ evidence: quote, runtimeData }) => [
    await issuer.attest('Simulated', { quote, runtimeData }),
  ],
  onTokenFailure: (error) => log('token_missing', { code: errorCode(error) }),
});
const metrics = createMetrics();
const app = createApp({
  manifest: trust,
  models,
  pool,
  channelKeys,
  evidence: rememberIssued(identity, { lease: trust.manifest.lease, now }),
  sigKey: identity.sigKey.privateKey,
  simulated: attester.format === 'simulated-sgx-quote',
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
await Promise.all([serving.close(), shown?.close(), pool.close()]);

function missing(setting: string): never {
  throw new ConfigError(`${setting}: needed`);
}

/** The provider's model key; without it the service runs, serves no model, and says so. */
async function modelKey(machine: SimulatedMachine, folder: string): Promise<Bytes | undefined> {
  const secrets = openSealedSecrets({
    folder: join(folder, 'secrets'),
    platform: machine,
    mrsigner: SIMULATED_MRSIGNER,
    isvProdId: PRODUCT_IDS[SERVICE],
  });
  try {
    return await secrets.get('model-key');
  } catch (error) {
    if (error instanceof AttesterError && error.code === 'secret_missing') return undefined;
    throw error;
  }
}

/** The repository's root: the nearest folder above with a lockfile. */
function rootAbove(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'package-lock.json'))) return at;
    if (dirname(at) === at) throw new ConfigError('sources: no lockfile above this service');
  }
}
