import { readFile } from 'node:fs/promises';
import { createAttestationClient, type AttestationClient } from '@cloister/client';
import {
  createHttpClient,
  createLog,
  createMetrics,
  errorCode,
  errorPlace,
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
import { configSchema, type Config } from './config.ts';
import type { Events } from './events.ts';
import { createGateMetrics } from './gate-metrics.ts';
import { createGate } from './gate/gate.ts';
import { LIMITS } from './gate/limits.ts';
import { listenTls } from './listen-tls.ts';
import { openIdentity } from './open-identity.ts';
import { createAuthenticate, judgeAgain } from './trust/authenticate.ts';
import { openTrust, OWN_PARTY, type OpenedTrust } from './trust/open-trust.ts';
import { createQuickClock } from './trust/quick-clock.ts';
import { openUpstream } from './upstream/upstream.ts';
import { parseRedisAddress, type RedisAddress } from './upstream/redis-address.ts';

/** How often the manifest's file is looked at. */
const WATCH_MS = 1000;
/** How often the clock that every request asks is put right. */
const CLOCK_MS = 250;

const log = createLog<Events>({ service: 'cache', write, now: () => new Date() });
const report = (error: unknown): void =>
  log('failed', { code: errorCode(error), where: errorPlace(error) });

silenceExpectedWarnings(process);
await runMain(process, async () => {
  const config = await loadConfig(configSchema, {
    env: process.env,
    args: process.argv.slice(2),
    readFile: (path) => readFile(path, 'utf8'),
  });
  const manifestFile = needed(config.manifest, 'manifest');
  const attestation = needed(config.attestation, 'attestation');
  const brokers = needed(config.brokers, 'brokers');
  const address = parseRedisAddress(needed(config.redis, 'redis'));
  const readManifest = (): Promise<string> => readFile(manifestFile, 'utf8');
  const first = await loadTrust({ manifestFile, readFile: readManifest, ownParty: OWN_PARTY });
  const urls = [attestation, ...Object.values(brokers)];
  const transport = createHttpClient({ origins: urls.map((url) => new URL(url).origin) });
  const trust = openTrust({
    first,
    readManifest,
    brokers,
    transport,
    wall: Date.now,
    monotonic: () => performance.now(),
    onRefused: (code) => log('manifest_refused', { code: errorCode({ code }) }),
    onHeadsFailed: (code) => log('heads_failed', { code: errorCode({ code }) }),
  });
  try {
    const issuer = createAttestationClient({ baseUrl: attestation, transport });
    await run(config, trust, { issuer, address });
  } finally {
    trust.stop();
    transport.close();
  }
});

async function run(
  config: Config,
  trust: OpenedTrust,
  { issuer, address }: { readonly issuer: AttestationClient; readonly address: RedisAddress },
): Promise<void> {
  const { identity, tls, simulated } = await openIdentity({
    platform: needed(config.platform, 'platform'),
    issuer,
    manifests: trust.manifests,
    heads: trust.heads,
    now: () => new Date(trust.now()),
    onTokenFailure: (error) => log('token_missing', { code: errorCode(error) }),
  });
  const upstream = await openUpstream(address, [...trust.current().roles.values()]);
  const authenticate = createAuthenticate({
    trust: trust.current,
    judgeHeads: trust.judgeHeads,
    fetchIssuerKeys: () => issuer.certs(),
    now: trust.now,
  });
  const metrics = createMetrics();
  const stats = createGateMetrics(metrics);
  const clock = createQuickClock(trust.now, Date.now);
  const gate = createGate({
    limits: { ...LIMITS, connections: config.maxClients, idleMs: config.idleSeconds * 1000 },
    now: clock.now,
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
  stats.show(gate, trust);
  trust.onChange((next, unreadable) => {
    clock.correct();
    gate.recheck((admission) => judgeAgain(next, admission, trust.now()));
    const { serial } = next.agreement.trust.manifest;
    log('manifest', { serial, roles: next.roles.size, unreadable });
    upstream.setRoles([...next.roles.values()]).catch(report);
  });

  const app = createApp({
    evidence: { evidence: (nonce) => identity.evidence(nonce) },
    health: async () => {
      const parts = {
        redis: await upstream.isReachable(),
        manifest: trust.file.isCurrent(),
        heads: trust.hasTime(),
      };
      return { ready: parts.redis && parts.heads && !trust.file.isRefused(), parts };
    },
    origins: config.portalOrigin,
    log,
    metrics,
  });
  const { host, port } = config;
  const serving = await serve({ app, port, host });
  const shown = await serveMetrics(metrics, config);
  // Who connects at once is to find a gate that has time.
  await trust.asked;
  const listening = await listenTls({
    gate,
    tls,
    host,
    port: config.gatePort,
    maxConnections: config.maxClients,
    onHandshakeFailure: () => stats.login('handshake'),
  });
  const timer = setInterval(() => {
    stats.flush();
    trust.file.check().catch(report);
  }, WATCH_MS);
  const correcting = setInterval(clock.correct, CLOCK_MS);
  log('started', {
    roles: trust.current().roles.size,
    serial: trust.current().agreement.trust.manifest.serial,
    simulated,
  });
  write(`gate on rediss://${host}:${listening.port}\n`);
  write(`listening on ${serving.url}\n`);
  try {
    const signal = await Promise.race([untilSignal(process), trust.failed]);
    log('stopping', { signal });
  } finally {
    clearInterval(timer);
    clearInterval(correcting);
    await Promise.all([listening.close(), serving.close(), shown?.close()]);
    // Where Redis is gone already, so are its users.
    await upstream.close().catch(report);
  }
}

function write(line: string): void {
  process.stdout.write(line);
}
