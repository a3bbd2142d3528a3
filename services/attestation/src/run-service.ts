import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  appraise,
  createIntelSource,
  createPccsProtocol,
  platformCollateral,
  intelEntry,
  VerificationCache,
  type AppraisalPolicy,
  type Attester,
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
import { decodePem, type Bytes } from '@cloister/bytes';
import {
  ConfigError,
  createHttpClient,
  createLog,
  createMetrics,
  errorCode,
  errorPlace,
  loadTrust,
  problem,
  routeTemplate,
  serve,
  untilSignal,
} from '@cloister/service';
import type { Hono } from 'hono';
import { appraisalPolicyOf } from './appraisal-policy.ts';
import { createApp, MAX_BODY, type AppDeps } from './app.ts';
import { createCollateralStore, type CollateralStore } from './collateral/collateral-store.ts';
import { loadCollateral } from './collateral/load-collateral.ts';
import type { Config } from './config.ts';
import type { Events } from './events.ts';
import { rootsOf, type Roots } from './evidence/roots.ts';
import { openKeyRing, type KeyRing } from './keys/key-ring.ts';
import { certify } from './keys/signing-certificate.ts';
import { listen } from './listen.ts';
import { nobody, type Authorize } from './management/authorize.ts';
import { oidcAuthorizer } from './management/oidc.ts';
import { createPolicies } from './policy/policies.ts';
import { RateLimit } from './rate-limit.ts';
import { attestHeaders } from './attest-headers.ts';
import { createAttestAnswer } from './routes/attest.ts';
import { openSqliteStateStore } from './state/sqlite-state-store.ts';
import type { StateStore } from './state/state-store.ts';

/** What the development entry point changes; the production one changes nothing. */
export interface Overrides {
  readonly verificationTime?: Date;
  readonly appraisal?: Pick<AppraisalPolicy, 'allowDebug' | 'tcb'>;
  readonly authorize?: Authorize;
  readonly announcement?: Events['development'];
}

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const HOUR = 3_600_000;
const write = (line: string): void => void process.stdout.write(line);
const now = (): Date => new Date();
const random = (length: number): Bytes => new Uint8Array(randomBytes(length));
const log = createLog<Events>({ service: 'attestation', write, now });

/** Runs the service until it is told to stop; with `prepare`, makes its keys and ends. */
export async function runService(config: Config, overrides: Overrides = {}): Promise<void> {
  const machine =
    config.platform === undefined ? undefined : await openSimulatedPlatform(config.platform);
  const trust = await trustOf(config.manifest);
  if (config.prepare) {
    const ring = await ringOf(config, machine, '', undefined);
    const thumbprints = ring.published().map(({ thumbprint }) => thumbprint);
    write(`${JSON.stringify({ issuerKeys: thumbprints })}\n`);
    return;
  }
  await run(config, overrides, machine, trust);
}

async function run(
  config: Config,
  overrides: Overrides,
  machine: SimulatedMachine | undefined,
  trust: TrustedManifest | undefined,
): Promise<void> {
  const roots = rootsOf(trust?.manifest.evidence);
  const collateral = await collateralOf(config, machine, roots);
  const state = await stateOf(config);
  const metrics = createMetrics();
  const countRequest = metrics.counter(
    'cloister_http_requests_total',
    'Requests by route and status.',
  );
  const countAttest = metrics.counter(
    'cloister_attestations_total',
    'Attestations by kind and outcome.',
  );
  const timeAttest = metrics.histogram(
    'cloister_attestation_milliseconds',
    'How long attestations took.',
    [0.5, 1, 2, 5, 10, 20, 50, 100, 500],
  );
  const countManaged = metrics.counter(
    'cloister_management_total',
    'Management calls by operation and outcome.',
  );
  const report = (error: unknown): void =>
    log('failed', {
      route: routeTemplate('/*'),
      code: errorCode(error),
      where: errorPlace(error),
    });
  // The port may be any, and the base URL stands in certificates: listen first.
  let app: Hono | undefined;
  let attest: ReturnType<typeof createAttestAnswer> | undefined;
  const serving = await listen({
    app: { fetch: (request) => app?.fetch(request) ?? problem(503, 'not_ready') },
    attest: async (...args) => attest?.(...args) ?? NOT_READY,
    headers: attestHeaders(config.portalOrigin, random),
    maxBody: MAX_BODY,
    limits: {
      attest: new RateLimit(config.attestRate, () => performance.now()),
      others: new RateLimit(config.manageRate, () => performance.now()),
    },
    report,
    port: config.port,
    host: config.host,
    tls: await tlsOf(config),
  });
  const baseUrl = config.publicUrl ?? serving.url;
  const attester = await attesterOf(machine, trust);
  const keys = await ringOf(config, machine, baseUrl, attester);
  metrics.gauge(
    'cloister_signing_key_age_seconds',
    'Age of the key that signs tokens.',
    () => now().getTime() / 1000 - keys.current().from,
  );
  const common = {
    baseUrl,
    keys,
    policies: createPolicies(state),
    roots,
    collateral,
    appraise: appraiseWith(trust, overrides),
    cache: new VerificationCache(),
    now,
    verificationTime: () => overrides.verificationTime ?? now(),
    random,
  };
  attest = createAttestAnswer(common, {
    log,
    count: (kind, outcome, ms) => {
      countAttest({ kind, outcome });
      timeAttest(ms, { kind });
    },
  });
  app = createApp({
    ...common,
    state,
    answerAttest: attest,
    authorize: overrides.authorize ?? authorizeBy(config),
    evidence:
      attester &&
      trust &&
      (await createIdentity({ service: 'attestation', manifests: [trust.id], attester })),
    origins: config.portalOrigin,
    log,
    countManaged: (operation, outcome) => countManaged({ operation, outcome }),
    observe: ({ method, route, status }) => countRequest({ method, route, status }),
  });
  const shown =
    config.metricsPort === undefined
      ? undefined
      : await serve({ app: metrics.app, port: config.metricsPort, host: config.host });
  const upkeep = setInterval(() => void tend(keys, config, state), HOUR / 60);
  if (overrides.announcement !== undefined) log('development', overrides.announcement);
  log('started', { roots: roots.sort, collateral: collateral.size });
  write(`listening on ${serving.url}\n`);
  const signal = await untilSignal(process);
  log('stopping', { signal });
  clearInterval(upkeep);
  await Promise.all([serving.close(), shown?.close()]);
  state.close();
}

const NOT_READY = {
  status: 503,
  body: '{"error":{"code":"ServiceUnavailable","message":"The service is starting"}}',
};

async function trustOf(manifestFile: string | undefined): Promise<TrustedManifest | undefined> {
  if (manifestFile === undefined) return undefined;
  return loadTrust({ manifestFile, readFile: (path) => readFile(path, 'utf8') });
}

async function collateralOf(
  config: Config,
  machine: SimulatedMachine | undefined,
  roots: Roots,
): Promise<CollateralStore> {
  const loaded =
    config.collateral === undefined ? { entries: [] } : await loadCollateral(config.collateral);
  const own =
    machine !== undefined && roots.sort === 'simulated'
      ? [intelEntry(platformCollateral(machine))]
      : [];
  return createCollateralStore({
    ...loaded,
    entries: [...own, ...loaded.entries],
    ...(config.pccs === undefined
      ? {}
      : {
          remote: createIntelSource(createPccsProtocol({ baseUrl: config.pccs }), {
            fetch: createHttpClient({ origins: [new URL(config.pccs).origin] }),
            now,
          }),
        }),
  });
}

async function stateOf({ data, isolated }: Config): Promise<StateStore> {
  if (data !== undefined) await mkdir(data, { recursive: true, mode: 0o700 });
  const state = openSqliteStateStore(data && join(data, 'attestation.sqlite'));
  if (isolated !== undefined) {
    const certificates = await readPem(isolated, 'isolated');
    const ders = decodePem(certificates, 'CERTIFICATE', 'isolated');
    if (ders.length === 0) throw new ConfigError('isolated: no certificate');
    // Only the first start makes signers: later ones find what was added and removed since.
    const { version } = await state.signers();
    if (version === 0) await state.setSigners(ders, 0);
  }
  return state;
}

/** Keys are sealed to the platform: with no platform, or no folder, they live for one run. */
function ringOf(
  config: Config,
  machine: SimulatedMachine | undefined,
  baseUrl: string,
  attester: Attester | undefined,
): Promise<KeyRing> {
  const { data, tokenAlg, keyOverlapHours } = config;
  return openKeyRing({
    alg: tokenAlg,
    secrets:
      machine === undefined || data === undefined
        ? undefined
        : openSealedSecrets({
            folder: join(data, 'secrets'),
            platform: machine,
            mrsigner: SIMULATED_MRSIGNER,
            isvProdId: PRODUCT_IDS.attestation,
          }),
    certify: (key) => certify(key, { baseUrl, at: now(), attester }),
    now,
    overlapSeconds: keyOverlapHours * 3600,
  });
}

/** Reads what other replicas rotated, and rotates when it is time. */
async function tend(keys: KeyRing, { keyDays }: Config, state: StateStore): Promise<void> {
  try {
    await keys.reload();
    const newest = Math.max(...keys.published().map(({ from }) => from));
    const age = now().getTime() / 1000 - newest;
    if (keyDays === 0 || age < keyDays * 86_400) return;
    const time = Math.floor(now().getTime() / 1000);
    const record = {
      time,
      actor: 'schedule',
      operation: 'rotate-key',
      subject: 'keys',
      digest: '',
      outcome: 'done',
    } as const;
    if (await state.claimRotation(await state.rotation(), record)) await keys.rotate();
    log('keys', { published: keys.published().length });
  } catch (error) {
    // The keys that are there go on signing; the next minute tries again.
    log('failed', {
      route: routeTemplate('/keys'),
      code: errorCode(error),
      where: errorPlace(error),
    });
  }
}

function authorizeBy({ managementIssuer, managementAudience }: Config): Authorize {
  if (managementIssuer === undefined) return nobody;
  return oidcAuthorizer({
    issuer: managementIssuer,
    audience: managementAudience,
    fetch: createHttpClient(),
    now,
  });
}

function appraiseWith(
  trust: TrustedManifest | undefined,
  { appraisal }: Overrides,
): AppDeps['appraise'] {
  const policy = appraisalPolicyOf(trust?.manifest);
  const merged = { ...policy, ...appraisal, tcb: { ...policy.tcb, ...appraisal?.tcb } };
  return (claims) => appraise(claims, merged);
}

/** This process's attester: simulated hardware, where a manifest says that it counts. */
async function attesterOf(
  machine: SimulatedMachine | undefined,
  trust: TrustedManifest | undefined,
): Promise<Attester | undefined> {
  if (machine === undefined || trust === undefined) return undefined;
  return createSimulatedAttester({
    platform: machine,
    mrenclave: await measureService({ root: ROOT, service: 'attestation' }),
    isvProdId: PRODUCT_IDS.attestation,
  });
}

async function tlsOf({
  tlsCert,
  tlsKey,
}: Config): Promise<{ cert: string; key: string } | undefined> {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined)
    throw new ConfigError('tls: a certificate and a key');
  const [cert, key] = await Promise.all([readPem(tlsCert, 'tlsCert'), readPem(tlsKey, 'tlsKey')]);
  return { cert, key };
}

async function readPem(path: string, setting: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`${setting}: ${errorCode(error)}`, { cause: error });
  }
}
