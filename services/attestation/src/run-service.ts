import { readFile } from 'node:fs/promises';
import {
  appraise,
  VerificationCache,
  type AppraisalPolicy,
  type TrustedManifest,
} from '@cloister/attestation';
import { createIdentity, openSimulatedPlatform, type SimulatedMachine } from '@cloister/attester';
import {
  createLog,
  createMetrics,
  errorCode,
  errorPlace,
  loadTrust,
  problem,
  routeTemplate,
  serveMetrics,
  untilSignal,
  type Metrics,
} from '@cloister/service';
import type { Hono } from 'hono';
import { appraisalPolicyOf } from './appraisal-policy.ts';
import { createApp, MAX_BODY, type AppDeps } from './app.ts';
import { attestHeaders } from './attest-headers.ts';
import type { Config } from './config.ts';
import type { Events } from './events.ts';
import { rootsOf } from './evidence/roots.ts';
import { tendKeys } from './keys/tend-keys.ts';
import { createLineWriter } from './line-writer.ts';
import { listen } from './listen.ts';
import type { Authorize } from './management/authorize.ts';
import {
  authorizeBy,
  openAttester,
  openCollateral,
  openKeys,
  openState,
  readTls,
} from './open-parts.ts';
import { createPolicies } from './policy/policies.ts';
import { createRandomPool } from './random-pool.ts';
import { RateLimit } from './rate-limit.ts';
import { createAttestAnswer, type AttestWatch } from './routes/attest.ts';

/** What the development entry point changes; the production one changes nothing. */
export interface Overrides {
  readonly verificationTime?: Date;
  readonly appraisal?: Pick<AppraisalPolicy, 'allowDebug' | 'tcb'>;
  readonly authorize?: Authorize;
  readonly announcement?: Events['development'];
}

const MINUTE = 60_000;
const write = createLineWriter((text) => void process.stdout.write(text));
const now = (): Date => new Date();
const random = createRandomPool();
const log = createLog<Events>({ service: 'attestation', write, now });

/** Runs the service until it is told to stop; with `prepare`, makes its keys and ends. */
export async function runService(config: Config, overrides: Overrides = {}): Promise<void> {
  const machine =
    config.platform === undefined ? undefined : await openSimulatedPlatform(config.platform);
  const trust = await trustOf(config.manifest);
  if (config.prepare) {
    const ring = await openKeys(config, machine, '', undefined);
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
  const collateral = await openCollateral(config, machine, roots);
  const state = await openState(config);
  const metrics = createMetrics();
  const countRequest = metrics.counter(
    'cloister_http_requests_total',
    'Requests by route and status.',
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
    tls: await readTls(config),
  });
  const baseUrl = config.publicUrl ?? serving.url;
  const attester = await openAttester(machine, trust);
  const keys = await openKeys(config, machine, baseUrl, attester);
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
  attest = createAttestAnswer(common, { log, count: attestCounter(metrics) });
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
  const shown = await serveMetrics(metrics, config);
  const upkeep = setInterval(
    () => void tendKeys({ keys, state, keyDays: config.keyDays, now, log }),
    MINUTE,
  );
  if (overrides.announcement !== undefined) log('development', overrides.announcement);
  log('started', { roots: roots.sort, collateral: collateral.size });
  write(`listening on ${serving.url}\n`);
  const signal = await untilSignal(process);
  log('stopping', { signal });
  clearInterval(upkeep);
  await Promise.all([serving.close(), shown?.close()]);
  state.close();
}

/** Counts attestations by kind and outcome, and how long they took. */
function attestCounter(metrics: Metrics): AttestWatch['count'] {
  const count = metrics.counter('cloister_attestations_total', 'Attestations by kind and outcome.');
  const time = metrics.histogram(
    'cloister_attestation_milliseconds',
    'How long attestations took.',
    [0.5, 1, 2, 5, 10, 20, 50, 100, 500],
  );
  return (kind, outcome, ms) => {
    count({ kind, outcome });
    time(ms, { kind });
  };
}

const NOT_READY = {
  status: 503,
  body: '{"error":{"code":"ServiceUnavailable","message":"The service is starting"}}',
};

async function trustOf(manifestFile: string | undefined): Promise<TrustedManifest | undefined> {
  if (manifestFile === undefined) return undefined;
  return loadTrust({ manifestFile, readFile: (path) => readFile(path, 'utf8') });
}

function appraiseWith(
  trust: TrustedManifest | undefined,
  { appraisal }: Overrides,
): AppDeps['appraise'] {
  const policy = appraisalPolicyOf(trust?.manifest);
  const merged = { ...policy, ...appraisal, tcb: { ...policy.tcb, ...appraisal?.tcb } };
  return (claims) => appraise(claims, merged);
}
