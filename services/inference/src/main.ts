import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  createIdentity,
  createSimulatedAttester,
  measureOwnService,
  openSimulatedPlatform,
  PRODUCT_IDS,
} from '@cloister/attester';
import { createAttestationClient, ManifestFollower } from '@cloister/client';
import {
  createHttpClient,
  createLog,
  createMetrics,
  errorCode,
  loadConfig,
  loadTrust,
  needed,
  runMain,
  serve,
  serveMetrics,
  silenceExpectedWarnings,
  untilSignal,
} from '@cloister/service';
import { createApp } from './app.ts';
import { configSchema } from './config.ts';
import type { Events } from './events.ts';
import { rememberIssued } from './issued-evidence.ts';
import { openModels } from './models/open-models.ts';
import { modelIdentities } from './models/served-model.ts';
import { openIdentity } from './open-identity.ts';
import { openRelease, OWN_PARTY } from './trust/open-release.ts';

const SERVICE = 'inference';
const write = (line: string): void => void process.stdout.write(line);
const hostNow = (): Date => new Date();
const log = createLog<Events>({ service: SERVICE, write, now: hostNow });

silenceExpectedWarnings(process);
await runMain(process, async () => {
  const config = await loadConfig(configSchema, {
    env: process.env,
    args: process.argv.slice(2),
    readFile: (path) => readFile(path, 'utf8'),
  });
  const attestation = needed(config.attestation, 'attestation');
  const brokers = needed(config.brokers, 'brokers');

  // What was agreed on, and by what code it is kept.
  const manifestFile = needed(config.manifest, 'manifest');
  const readManifest = (): Promise<string> => readFile(manifestFile, 'utf8');
  const first = await loadTrust({ manifestFile, readFile: readManifest, ownParty: OWN_PARTY });
  const follower = new ManifestFollower({ first, ownParty: OWN_PARTY, now: hostNow });
  const attester = createSimulatedAttester({
    platform: await openSimulatedPlatform(needed(config.platform, 'platform')),
    mrenclave: await measureOwnService(import.meta.url, SERVICE),
    isvProdId: PRODUCT_IDS[SERVICE],
  });
  const simulated = attester.format === 'simulated-sgx-quote';

  // The key of the models, and the time, from the brokers; for them, evidence without a channel's key.
  const urls = [attestation, ...Object.values(brokers)];
  const origins = [...new Set(urls.map((url) => new URL(url).origin))];
  const transport = createHttpClient({ origins });
  const released = await openRelease({
    follower,
    readManifest,
    brokers,
    identity: await createIdentity({ service: SERVICE, manifests: () => follower.ids, attester }),
    transport,
    now: hostNow,
    log,
  });
  const { now } = released;

  const { models, pool } = await openModels({
    folder: config.modelStore,
    agreed: first.manifest.models,
    key: released.modelKey(),
    workers: config.workers,
    log,
  });
  const issuer = createAttestationClient({ baseUrl: attestation, transport });
  const { channelKeys, identity } = await openIdentity({
    attester,
    first: first.manifest,
    follower,
    models,
    heads: released.heads,
    issuer,
    onTokenFailure: (error) => log('token_missing', { code: errorCode(error) }),
    now,
  });

  const metrics = createMetrics();
  const app = createApp({
    follower,
    models,
    pool,
    channelKeys,
    evidence: rememberIssued(identity, { lease: () => follower.trust.manifest.lease, now }),
    sigKey: identity.sigKey.privateKey,
    simulated,
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
  const shown = await serveMetrics(metrics, config);
  log('started', { models: modelIdentities(models).length, workers: pool.alive(), simulated });
  write(`listening on ${serving.url}\n`);

  const signal = await untilSignal(process);
  log('stopping', { signal });
  released.close();
  await Promise.all([serving.close(), shown?.close(), pool.close()]);
  // What waits for the next head would keep the process.
  transport.close();
});
