import { Hono } from 'hono';
import { routePath } from 'hono/route';
import type { VerifiedCaller } from '@cloister/attestation';
import type { EncapsulationContext } from '@cloister/channel';
import { errorCode, errorPlace, routeTemplate } from '@cloister/service';
import type { CallerGate } from './caller-gate.ts';
import type { InferenceLog } from './events.ts';
import { errorResponse, InferenceError, STATUS } from './inference-error.ts';
import type { ServedModel } from './models/served-model.ts';
import type { WorkerPool } from './models/worker-pool.ts';
import type { ReceiptFacts } from './receipt.ts';
import { inferRoutes } from './routes/infer.ts';
import { modelRoutes } from './routes/models.ts';
import { serverRoutes } from './routes/server.ts';

/** What a request inside the channel carries besides itself. */
export interface InnerEnv {
  readonly Bindings: EncapsulationContext;
  /** Who calls, on the routes of models. */
  readonly Variables: { readonly caller: VerifiedCaller };
}

/** What the routes inside the channel need. */
export interface InnerDeps {
  /** By the manifest in force: see `agreedModels`. */
  readonly models: () => readonly ServedModel[];
  readonly pool: WorkerPool;
  readonly gate: CallerGate;
  /** The largest body of an inference request. */
  readonly maxBody: number;
  /** The evidence that a receipt names: the one asked for, when it was given out in the lease. */
  readonly evidenceDigest: (asked: string | undefined) => Promise<string>;
  readonly sign: (facts: Omit<ReceiptFacts, 'simulated' | 'iat'>) => Promise<string>;
  readonly newId: () => string;
  readonly onInferred: (model: number, ms: number) => void;
  readonly observe: (seen: { readonly route: string; readonly status: number }) => void;
  readonly log: InferenceLog;
}

/** What is offered inside the channel: the Open Inference Protocol v2, to `records` only. */
export function createInnerApp(deps: InnerDeps): Hono<InnerEnv> {
  const { gate, log, observe } = deps;
  const app = new Hono<InnerEnv>();
  app.use(async (c, next) => {
    await next();
    observe({ route: routePath(c, -1), status: c.res.status });
  });
  serverRoutes(app, deps);
  app.use('/v2/models/*', async (c, next) => {
    const caller = await gate(c.req.raw, c.env.binding);
    if (caller.ok) {
      c.set('caller', caller.claims);
      return next();
    }
    log('refused', { route: routeTemplate('/v2/models/*'), code: errorCode(caller) });
    return errorResponse(401, caller.code, 'the caller did not prove to be admitted');
  });
  modelRoutes(app, deps);
  inferRoutes(app, deps);
  app.notFound(() => errorResponse(404, 'not_found', 'no such route'));
  app.onError((error, c) => {
    const route = routeTemplate(routePath(c, -1));
    if (error instanceof InferenceError) {
      log('refused', { route, code: errorCode(error) });
      return errorResponse(STATUS[error.code], error.code, error.detail);
    }
    log('failed', { route, code: errorCode(error), where: errorPlace(error) });
    return errorResponse(500, 'internal', 'internal error');
  });
  return app;
}
