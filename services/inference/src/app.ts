import type { Hono } from 'hono';
import type { HeadJudge } from '@cloister/attestation';
import { createGateway, type ChannelKeys } from '@cloister/channel';
import type { ManifestFollower } from '@cloister/client';
import type { Jwk } from '@cloister/crypto';
import {
  createServiceApp,
  errorCode,
  errorPlace,
  guardByLeases,
  type HeldLease,
  routeTemplate,
  type Metrics,
} from '@cloister/service';
import { createCallerGate } from './caller-gate.ts';
import type { InferenceLog } from './events.ts';
import { InferenceError } from './inference-error.ts';
import { createInnerApp } from './inner-app.ts';
import type { IssuedEvidence } from './issued-evidence.ts';
import { agreedModels, type ServedModel } from './models/served-model.ts';
import type { WorkerPool } from './models/worker-pool.ts';
import { signReceipt } from './receipt.ts';
import { readiness } from './routes/server.ts';

/** What this service needs, apart from a port. */
export interface AppDeps {
  /** The manifest, as it changes. */
  readonly follower: Pick<ManifestFollower, 'agreement' | 'trust'>;
  /** Those that were loaded, or could not be. */
  readonly models: readonly ServedModel[];
  readonly pool: WorkerPool;
  /** Made by this process, never shared (design 2.1, rule 7). */
  readonly channelKeys: ChannelKeys;
  readonly evidence: IssuedEvidence;
  /** The attested `sig` key: signs receipts. */
  readonly sigKey: CryptoKey;
  /** Whether the evidence is of simulated hardware. */
  readonly simulated: boolean;
  /** Whether a caller's token is recent (design 2.1, rule 8). */
  readonly judgeHeads: HeadJudge;
  /** The lease on the model's key: after its end nothing is served. */
  readonly lease: Pick<HeldLease, 'name' | 'isRunning'>;
  readonly fetchIssuerKeys: () => Promise<readonly Jwk[]>;
  readonly origins: readonly string[];
  readonly now: () => Date;
  readonly newId: () => string;
  readonly log: InferenceLog;
  readonly metrics: Metrics;
}

/** JSON numbers take up to so many bytes for the four of a float. */
const JSON_FACTOR = 6;
/** Where no model is loaded, whoever asks is still to be told so. */
const MIN_BODY = 512 * 1024;

/** The inference service: the plain surface of design 3.7, and its work inside the channel. */
export function createApp(deps: AppDeps): Hono {
  const { follower, pool, evidence, now, log, metrics } = deps;
  const models = (): readonly ServedModel[] => agreedModels(deps.models, follower.trust.manifest);
  const maxBody = MIN_BODY + JSON_FACTOR * Math.max(0, ...deps.models.map(inputBytes));
  const report = (error: unknown, route: string): void => {
    const place = { code: errorCode(error), where: errorPlace(error) };
    log('failed', { route: routeTemplate(route), ...place });
  };
  const count = metrics.counter('cloister_requests_total', 'Requests by route and status.');
  const time = metrics.histogram(
    'cloister_inference_ms',
    'Milliseconds from a parsed call to its receipt.',
    [2, 5, 10, 20, 50, 100, 500, 2000],
  );
  const inner = createInnerApp({
    models,
    pool,
    maxBody,
    gate: createCallerGate({
      agreement: () => follower.agreement,
      fetchIssuerKeys: deps.fetchIssuerKeys,
      judgeHeads: deps.judgeHeads,
      now,
    }),
    evidenceDigest: async (asked) => {
      if (asked === undefined) return evidence.newest();
      if (evidence.isIssued(asked)) return asked;
      throw new InferenceError('evidence_unknown', 'not given out by this process in the lease');
    },
    sign: (facts) =>
      signReceipt(
        {
          ...facts,
          simulated: deps.simulated,
          iat: Math.floor(now().getTime() / 1000),
        },
        deps.sigKey,
      ),
    newId: deps.newId,
    onInferred: (model, ms) => {
      log('inferred', { model, ms });
      time(ms);
    },
    observe: ({ route, status }) => count({ route, status }),
    log,
  });
  const gateway = createGateway({
    keys: () => [deps.channelKeys],
    now,
    fetch: (request, context) => inner.fetch(request, context),
    onError: (error) => report(error, '/.well-known/ohttp-gateway'),
    // Encapsulation, fields and padding come on top of the body.
    maxRequestBytes: 2 * maxBody,
  });
  return createServiceApp({
    service: 'inference',
    evidence,
    gateway: guardByLeases(gateway, [deps.lease]),
    cors: { origins: deps.origins },
    health: () => {
      const { ready, parts } = readiness({ models, pool });
      const keys = deps.lease.isRunning();
      return { ready: ready && keys, parts: { ...parts, keys } };
    },
    report,
    observe: ({ route, status }) => count({ route, status }),
  });
}

function inputBytes(model: ServedModel): number {
  if (!('stored' in model)) return 0;
  return 4 * model.stored.contract.input.shape.reduce((product, size) => product * size, 1);
}
