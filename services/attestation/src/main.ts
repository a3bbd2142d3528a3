import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Hono } from 'hono';
import {
  appraise,
  platformCollateral,
  type EvidenceSource,
  VerificationCache,
  type TrustedManifest,
} from '@cloister/attestation';
import {
  createIdentity,
  createSimulatedAttester,
  measureService,
  openSealedSecrets,
  openSimulatedPlatform,
  PRODUCT_IDS,
  SIMULATED_MRSIGNER,
  type SimulatedMachine,
} from '@cloister/attester';
import {
  createLog,
  createMetrics,
  loadConfig,
  loadTrust,
  problem,
  runMain,
  serve,
  untilSignal,
} from '@cloister/service';
import { appraisalPolicyOf } from './appraisal-policy.ts';
import { createApp } from './app.ts';
import { createCollateralStore } from './collateral/collateral-store.ts';
import { loadCollateral } from './collateral/load-collateral.ts';
import { configSchema, type Config } from './config.ts';
import type { Events } from './events.ts';
import { createDefaultPolicy } from './policy/default-policy.ts';
import { rootsOf } from './roots.ts';
import { openSigningKey } from './signing/kept-key.ts';
import { certify, type SigningKey } from './signing/signing-key.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const write = (line: string): void => void process.stdout.write(line);
const now = (): Date => new Date();
const log = createLog<Events>({ service: 'attestation', write, now });

await runMain(process, async () => {
  const config = await loadConfig(configSchema, {
    env: process.env,
    args: process.argv.slice(2),
    readFile: (path) => readFile(path, 'utf8'),
  });
  const platform =
    config.platform === undefined ? undefined : await openSimulatedPlatform(config.platform);
  const key = await openSigningKey(secretsOf(platform, config.data));
  if (config.prepare) write(`${JSON.stringify({ issuerKeys: [key.thumbprint] })}\n`);
  else await run(config, platform, key);
});

async function run(
  config: Config,
  platform: SimulatedMachine | undefined,
  key: SigningKey,
): Promise<void> {
  const trust = await trustOf(config.manifest);
  const roots = rootsOf(trust?.manifest.evidence);
  const collateral = createCollateralStore([
    ...(platform !== undefined && roots.sort === 'simulated' ? [platformCollateral(platform)] : []),
    ...(config.collateral === undefined ? [] : await loadCollateral(config.collateral)),
  ]);
  const metrics = createMetrics();
  const count = metrics.counter('cloister_http_requests_total', 'Requests by route and status.');
  // The port may be any, and the base URL stands in the certificate: listen first.
  let app: Hono | undefined;
  const serving = await serve({
    app: { fetch: (request) => app?.fetch(request) ?? problem(503, 'not_ready') },
    port: config.port,
    host: config.host,
  });
  const baseUrl = config.publicUrl ?? serving.url;
  app = createApp({
    baseUrl,
    key,
    certificate: await certify(key, baseUrl, now()),
    policy: await createDefaultPolicy(),
    roots,
    collateral,
    appraise: (claims) => appraise(claims, appraisalPolicyOf(trust?.manifest)),
    cache: new VerificationCache(),
    now,
    random: (length) => new Uint8Array(randomBytes(length)),
    evidence: await evidenceOf(platform, trust),
    origins: config.portalOrigin,
    log,
    observe: ({ method, route, status }) => count({ method, route, status }),
  });
  const shown =
    config.metricsPort === undefined
      ? undefined
      : await serve({ app: metrics.app, port: config.metricsPort, host: config.host });
  log('started', { roots: roots.sort, collateral: collateral.size });
  write(`listening on ${serving.url}\n`);
  const signal = await untilSignal(process);
  log('stopping', { signal });
  await Promise.all([serving.close(), shown?.close()]);
}

/** Secrets are sealed to the platform: with no platform, or no folder, the key lives for one run. */
function secretsOf(
  machine: SimulatedMachine | undefined,
  data: string | undefined,
): Parameters<typeof openSigningKey>[0] {
  if (machine === undefined || data === undefined) return undefined;
  return openSealedSecrets({
    folder: join(data, 'secrets'),
    platform: machine,
    mrsigner: SIMULATED_MRSIGNER,
    isvProdId: PRODUCT_IDS.attestation,
  });
}

async function trustOf(manifestFile: string | undefined): Promise<TrustedManifest | undefined> {
  if (manifestFile === undefined) return undefined;
  return loadTrust({ manifestFile, readFile: (path) => readFile(path, 'utf8') });
}

/** This process's own evidence: it needs an attester, and a manifest to name. */
async function evidenceOf(
  machine: SimulatedMachine | undefined,
  trust: TrustedManifest | undefined,
): Promise<EvidenceSource | undefined> {
  if (machine === undefined || trust === undefined) return undefined;
  const service = 'attestation';
  const attester = createSimulatedAttester({
    platform: machine,
    mrenclave: await measureService({ root: ROOT, service }),
    isvProdId: PRODUCT_IDS.attestation,
  });
  return createIdentity({ service, manifests: [trust.id], attester });
}
