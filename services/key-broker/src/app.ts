import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { MalformedError } from '@cloister/bytes';
import type { ChannelKeys } from '@cloister/channel';
import { createGateway } from '@cloister/channel';
import { TamperedError, type Random } from '@cloister/sealing';
import {
  createServiceApp,
  errorCode,
  errorPlace,
  problem,
  routeTemplate,
  UnavailableError,
  type ServiceAppOptions,
} from '@cloister/service';
import { BrokerError } from './broker-error.ts';
import type { BrokerLog } from './events.ts';
import { brokerErrorOf } from './journal/journal.ts';
import { authorityRoutes, certificateRoutes, type CertificateDeps } from './routes/certificates.ts';
import { headRoutes } from './routes/heads.ts';
import { manifestRoutes } from './routes/manifest.ts';
import { partyCallRoutes, type PartyCallDeps } from './routes/party-calls.ts';
import { rcarRoutes, type RcarDeps } from './routes/rcar.ts';
import { serviceCallRoutes, type InnerEnv, type ServiceCallDeps } from './routes/service-calls.ts';
import { stateRoutes, type QuoteSource } from './routes/state.ts';

/** What this service needs, apart from a port. */
export interface AppDeps extends ServiceCallDeps, PartyCallDeps, RcarDeps, CertificateDeps {
  readonly quote: QuoteSource;
  readonly channelKeys: ChannelKeys;
  readonly random: Random;
  readonly now: () => Date;
  readonly origins: readonly string[];
  readonly log: BrokerLog;
  readonly observe?: ServiceAppOptions['observe'];
}

/** More than an evidence envelope with its endorsements, and an imported secret. */
const MAX_BODY = 4 << 20;

/**
 * The key broker: the plain surface of every service, RCAR for foreign clients, what is public or
 * signed both ways, and inside the channel all else (spec/key-broker.md 5.2).
 */
export function createApp(deps: AppDeps): Hono {
  const { broker, quote, channelKeys, now, log } = deps;
  const report = (error: unknown, route: string): void =>
    log('failed', {
      route: routeTemplate(route),
      code: errorCode(error),
      where: errorPlace(error),
    });
  const inner = createInnerApp(deps, report);
  const gateway = createGateway({
    keys: () => [channelKeys],
    now,
    fetch: (request, context) => inner.fetch(request, context),
    onError: (error) => report(error, 'gateway'),
    maxRequestBytes: MAX_BODY + 65_536,
  });
  const app = createServiceApp({
    service: 'key-broker',
    evidence: quote,
    gateway,
    cors: { origins: deps.origins },
    health: () => ({ ready: broker.phase === 'active', parts: { [broker.phase]: true } }),
    report,
    ...(deps.observe === undefined ? {} : { observe: deps.observe }),
  });
  app.use('/v1/*', bodyLimit({ maxSize: MAX_BODY, onError: () => problem(413, 'too_large') }));
  publicRoutes(app, deps);
  app.route('/kbs/v0', rcarRoutes(deps));
  app.onError(answerError(report));
  return app;
}

/** What the application inside the channel needs. */
export type InnerDeps = ServiceCallDeps &
  PartyCallDeps &
  CertificateDeps & { readonly quote: QuoteSource };

/** What answers inside the channel. */
export function createInnerApp(
  deps: InnerDeps,
  report: (error: unknown, route: string) => void,
): Hono<InnerEnv> {
  const app = new Hono<InnerEnv>();
  publicRoutes(app, deps);
  serviceCallRoutes(app, deps);
  certificateRoutes(app, deps);
  partyCallRoutes(app, deps);
  app.notFound(() => problem(404, 'not_found'));
  app.onError(answerError(report));
  return app;
}

/** What is signed or public: it is the same inside and outside of the channel. */
function publicRoutes(app: Hono<InnerEnv> | Hono, deps: InnerDeps): void {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- these routes use no bindings
  const plain = app as Hono;
  stateRoutes(plain, deps);
  manifestRoutes(plain, deps.broker);
  headRoutes(plain, deps.broker);
  authorityRoutes(plain, deps);
}

/** Refusals are problems with their codes; what is no refusal is reported, and says nothing. */
function answerError(report: (error: unknown, route: string) => void) {
  return async (thrown: Error, c: { req: { routePath: string } }): Promise<Response> => {
    const error = brokerErrorOf(thrown);
    if (error instanceof BrokerError) return error.toResponse();
    if (error instanceof MalformedError) return problem(400, 'malformed', error.where);
    report(error, c.req.routePath);
    if (error instanceof TamperedError) return problem(503, 'store_tampered', error.where);
    if (error instanceof UnavailableError) return problem(503, error.code, error.where);
    return problem(500, 'internal');
  };
}
