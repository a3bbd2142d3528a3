import { Hono } from 'hono';
import { routePath } from 'hono/route';
import { MalformedError } from '@cloister/bytes';
import { TamperedError } from '@cloister/sealing';
import {
  errorCode,
  errorPlace,
  type Log,
  problem,
  routeTemplate,
  StoreError,
  UnavailableError,
} from '@cloister/service';
import type { RecordsEvents } from './events.ts';
import { FHIR_JSON } from './fhir/exchange.ts';
import { operationOutcome, statusOf } from './fhir/outcome.ts';
import { newId } from './new-id.ts';
import { RefusedError } from './refused-error.ts';
import type { Env } from './routes/context.ts';
import { type EventDeps, eventRoutes } from './routes/events.ts';
import { type FhirDeps, fhirRoutes, metadataRoutes } from './routes/fhir.ts';
import { type ImageDeps, imageRoutes } from './routes/images.ts';
import { type SessionDeps, signInRoutes, signOutRoutes } from './routes/session.ts';

/** What the application is made of. */
export interface AppDeps extends FhirDeps, ImageDeps, SessionDeps, EventDeps {
  readonly log: Log<RecordsEvents>;
  /** Told once for every record that was found changed: the service is not ready then. */
  readonly onTampered?: () => void;
}

/**
 * Everything that `records` offers inside the channel. Every answer to somebody who is signed in
 * is preceded by its audit event; every refusal is a code of one table.
 */
export function createApp(deps: AppDeps): Hono<Env> {
  const { ledger, sessions, random, log } = deps;
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    const started = performance.now();
    const given = c.req.header('x-request-id') ?? '';
    c.set('requestId', /^[\w-]{1,64}$/.test(given) ? given : newId(random));
    const { encapsulation } = c.env ?? {};
    const [copy] = await Promise.all([
      encapsulation !== undefined && ledger.hasRequest(encapsulation),
      // What any replica acknowledged before this request came must be known here.
      ledger.refresh(),
    ]);
    if (copy) throw new RefusedError('replayed');
    await next();
    c.header('x-request-id', c.get('requestId'));
    log('request', {
      method: methodOf(c.req.method),
      route: routeTemplate(routePath(c, -1)),
      status: c.res.status,
      ms: Math.round(performance.now() - started),
    });
  });
  app.route('/', metadataRoutes(deps));
  app.route('/', signInRoutes(deps));
  app.use(async (c, next) => {
    const touch = c.req.path !== '/events';
    c.set('session', await sessions.of(c.req.header('authorization'), { touch }));
    await next();
  });
  app.route('/', signOutRoutes(deps));
  app.route('/', fhirRoutes(deps));
  app.route('/', imageRoutes(deps));
  app.route('/', eventRoutes(deps));

  app.notFound((c) => {
    const error = new RefusedError('not_found');
    return answer(error, c.req.path, c.get('requestId'));
  });
  app.onError((error, c) => {
    const refused = refusalOf(error, deps);
    const route = routeTemplate(routePath(c, -1));
    if (refused.code === 'internal')
      log('fault', { route, code: errorCode(error), place: errorPlace(error) });
    else log('refused', { route, code: refused.code });
    return answer(refused, c.req.path, c.get('requestId'));
  });
  return app;
}

/** What an error means to the caller; an unknown one is an internal fault and says nothing. */
function refusalOf(error: unknown, { log, onTampered }: AppDeps): RefusedError {
  if (error instanceof RefusedError) return error;
  if (error instanceof TamperedError) {
    log('store_tampered', {
      code: errorCode(error),
      position: Number(/\d+/.exec(error.where)?.[0] ?? 0),
    });
    onTampered?.();
    const text = 'the stored record was changed outside this service and is not shown';
    return new RefusedError('record_tampered', text, { cause: error });
  }
  if (error instanceof MalformedError)
    return new RefusedError('malformed', error.message, { cause: error });
  if (error instanceof StoreError) {
    if (error.code === 'full')
      return new RefusedError('storage_full', 'the storage is full; nothing was changed');
    if (error.code === 'replayed') return new RefusedError('replayed');
    return new RefusedError('storage_unavailable', 'the storage does not take writes now');
  }
  // The head could not be anchored before the answer leaves.
  if (error instanceof UnavailableError)
    return new RefusedError('storage_unavailable', 'what was done cannot be confirmed now');
  return new RefusedError('internal', 'internal fault', { cause: error });
}

/** FHIR and image routes answer OperationOutcome, the others a problem (RFC 9457). */
function answer(error: RefusedError, path: string, requestId: string): Response {
  const status = statusOf(error);
  const headers = {
    'x-request-id': requestId,
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    ...(error.retryAfter === undefined ? {} : { 'retry-after': String(error.retryAfter) }),
  };
  if (!/^\/(?:fhir|images)\b/.test(path))
    return problem(status, error.code, error.complaints[0]?.text, headers);
  return new Response(JSON.stringify(operationOutcome(error, requestId)), {
    status,
    headers: { ...headers, 'content-type': FHIR_JSON, 'cache-control': 'no-store' },
  });
}

function methodOf(method: string): RecordsEvents['request']['method'] {
  return (['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const).find((m) => m === method) ?? 'OTHER';
}
