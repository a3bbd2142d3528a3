import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  createIdentity,
  createSimulatedAttester,
  createTlsKey,
  measureService,
  openSimulatedPlatform,
  PRODUCT_IDS,
  type ServiceIdentity,
} from '@cloister/attester';
import { createAttestationClient } from '@cloister/client';
import {
  ConfigError,
  createHttpClient,
  createLog,
  createMetrics,
  errorCode,
  errorPlace,
  loadConfig,
  loadTrust,
  runMain,
  serve,
  silenceExpectedWarnings,
  untilSignal,
} from '@cloister/service';
import { createApp } from './app.ts';
import { configSchema } from './config.ts';
import type { Events } from './events.ts';
import { createGateMetrics } from './gate-metrics.ts';
import { createGate } from './gate/gate.ts';
import { LIMITS } from './gate/limits.ts';
import { listenTls } from './listen-tls.ts';
import { createAuthenticate, judgeAgain } from './trust/authenticate.ts';
import { watchTrust } from './trust/trust-watch.ts';
import { openUpstream } from './upstream/upstream.ts';
import { parseRedisAddress } from './upstream/redis-address.ts';

const SERVICE = 'cache';
/** How often the manifest's file is looked at. */
const WATCH_MS = 1000;

silenceExpectedWarnings(process);
await runMain(process, async () => {
  const config = await loadConfig(configSchema, {
    env: process.env,
    args: process.argv.slice(2),
    readFile: (path) => readFile(path, 'utf8'),
  });
  const log = createLog<Events>({ service: SERVICE, write, now });
  const report = (error: unknown): void =>
    log('failed', { code: errorCode(error), where: errorPlace(error) });
  const manifestFile = needed(config.manifest, 'manifest');
  const attestation = needed(config.attestation, 'attestation');
  const address = parseRedisAddress(needed(config.redis, 'redis'));
  const readManifest = (): Promise<string> => readFile(manifestFile, 'utf8');

  const first = await loadTrust({ manifestFile, readFile: readManifest });
  const tls = await createTlsKey({
    service: SERVICE,
    now,
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
  });
  const transport = createHttpClient({ origins: [new URL(attestation).origin] });
  const issuer = createAttestationClient({ baseUrl: attestation, transport });
  const folder = fileURLToPath(new URL('..', import.meta.url));
  const attester = createSimulatedAttester({
    platform: await openSimulatedPlatform(needed(config.platform, 'platform')),
    mrenclave: await measureService({ root: rootAbove(folder), service: SERVICE, folder }),
    isvProdId: PRODUCT_IDS[SERVICE],
  });
  /** The manifest's id stands in the evidence: another manifest, another identity. */
  const identify = (manifest: string): Promise<ServiceIdentity> =>
    createIdentity({
      service: SERVICE,
      manifests: [manifest],
      attester,
      tls: tls.spkiSha256,
      tokens: async ({ evidence: quote, runtimeData }) => [
        await issuer.attest('Simulated', { quote, runtimeData }),
      ],
      onTokenFailure: (error) => log('token_missing', { code: errorCode(error) }),
    });
  let identity = await identify(first.id);
  const follow = async (manifest: string): Promise<void> => {
    identity = await identify(manifest);
  };

  const metrics = createMetrics();
  const stats = createGateMetrics(metrics);
  const trust = watchTrust({
    first,
    read: readManifest,
    now: Date.now,
    onChange: (next) => {
      gate.recheck((admission) => judgeAgain(next, admission, Date.now()));
      log('manifest', { serial: next.manifest.manifest.serial, roles: next.roles.size });
      upstream.setRoles([...next.roles.values()]).catch(report);
      follow(next.manifest.id).catch(report);
    },
    onRefused: (code) => log('manifest_refused', { code: errorCode({ code }) }),
  });
  const upstream = await openUpstream(address, [...trust.current().roles.values()]);
  const authenticate = createAuthenticate({
    trust: () => trust.current(),
    fetchIssuerKeys: () => issuer.certs(),
    now: Date.now,
  });
  const gate = createGate({
    limits: { ...LIMITS, connections: config.maxClients, idleMs: config.idleSeconds * 1000 },
    now: Date.now,
    authenticate: async (login, key) => {
      const verdict = await authenticate(login, key);
      if (!verdict.ok) log('login_refused', { code: errorCode(verdict) });
      return verdict;
    },
    openUpstream: (role, protocol) => upstream.open(role, protocol),
    version: upstream.version,
    stats,
    onFault: report,
  });
  stats.show(gate);
  const listening = await listenTls({
    gate,
    tls,
    host: config.host,
    port: config.gatePort,
    maxConnections: config.maxClients,
    onHandshakeFailure: () => stats.login('handshake'),
  });
  const app = createApp({
    evidence: { evidence: (nonce) => identity.evidence(nonce) },
    health: async () => {
      const parts = { redis: await upstream.isReachable(), manifest: trust.isCurrent() };
      return { ready: parts.redis && parts.manifest, parts };
    },
    origins: config.portalOrigin,
    log,
    metrics,
  });
  const serving = await serve({ app, port: config.port, host: config.host });
  const shown =
    config.metricsPort === undefined
      ? undefined
      : await serve({ app: metrics.app, port: config.metricsPort, host: config.host });
  const timer = setInterval(() => {
    stats.flush();
    trust.check().catch(report);
  }, WATCH_MS);
  const { roles } = trust.current();
  log('started', {
    roles: roles.size,
    serial: first.manifest.serial,
    simulated: attester.format === 'simulated-sgx-quote',
  });
  write(`gate on rediss://${config.host}:${listening.port}\n`);
  write(`listening on ${serving.url}\n`);
  const signal = await untilSignal(process);
  log('stopping', { signal });
  clearInterval(timer);
  await Promise.all([listening.close(), serving.close(), shown?.close()]);
  // Where Redis is gone already, so are its users.
  await upstream.close().catch(report);
});

function write(line: string): void {
  process.stdout.write(line);
}

function now(): Date {
  return new Date();
}

function needed(value: string | undefined, setting: string): string {
  if (value === undefined) throw new ConfigError(`${setting}: needed`);
  return value;
}

/** The repository's root: the nearest folder above with a lockfile. */
function rootAbove(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'package-lock.json'))) return at;
    if (dirname(at) === at) throw new ConfigError('sources: no lockfile above this service');
  }
}
