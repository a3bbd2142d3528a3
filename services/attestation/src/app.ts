import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { encodeHex } from '@cloister/bytes';
import {
  createServiceApp,
  errorCode,
  errorPlace,
  routeTemplate,
  UnavailableError,
  type ServiceAppOptions,
} from '@cloister/service';
import { AzureError, azureErrorResponse } from './azure-error.ts';
import { canonicalPath, methodsOf } from './paths.ts';
import { attestRoutes, type AnswerAttest } from './routes/attest.ts';
import { collateralRoutes } from './routes/collateral.ts';
import { documentRoutes, type DocumentDeps } from './routes/documents.ts';
import { explainRoutes, type ExplainDeps } from './routes/explain.ts';
import { managementRoutes, type ManagementDeps } from './routes/management.ts';
import { openApiRoutes } from './routes/open-api.ts';

/** What this service needs, apart from a port. */
export interface AppDeps extends ExplainDeps, ManagementDeps, DocumentDeps {
  readonly answerAttest: AnswerAttest;
  /** This process's own evidence, where it can give any. */
  readonly evidence?: ServiceAppOptions['evidence'];
  readonly origins: readonly string[];
  readonly observe?: ServiceAppOptions['observe'];
}

/** How large a request may be (spec/azure-attestation.md 4.7). */
export const MAX_BODY = 1 << 20;

/** `x-ms-maa-service-version`: ours, in the form of the real one. */
export const VERSION = '0.1.0.0';

/** The attestation service: the wire contract of Azure Attestation, and design 3.7. */
export function createApp(deps: AppDeps): Hono {
  const { log, random, collateral, now } = deps;
  const report = (error: unknown, route: string): void => {
    const place = { code: errorCode(error), where: errorPlace(error) };
    log('failed', { route: routeTemplate(route), ...place });
  };
  const app = createServiceApp({
    service: 'attestation',
    evidence: deps.evidence,
    cors: { origins: deps.origins },
    health: () => ({ ready: true, parts: { collateral: collateral.size > 0 } }),
    canonicalPath,
    report,
    ...(deps.observe === undefined ? {} : { observe: deps.observe }),
  });
  const azure = new Hono();
  azure.use(async (c, next) => {
    await next();
    c.header('x-ms-request-id', requestId(random));
    c.header('x-ms-maa-service-version', VERSION);
  });
  azure.use(bodyLimit({ maxSize: MAX_BODY, onError: () => azureErrorResponse(tooLarge()) }));
  attestRoutes(azure, deps.answerAttest);
  managementRoutes(azure, deps);
  documentRoutes(azure, deps);
  explainRoutes(azure, deps);
  openApiRoutes(azure);
  for (const prefix of ['/attest', '/policies', '/certificates', '/tcbbaselines'])
    azure.all(`${prefix}/*`, (c) => azureErrorResponse(notFound(c.req.path)));
  azure.onError((error) => {
    if (error instanceof AzureError) return azureErrorResponse(error);
    report(error, '/*');
    return azureErrorResponse(
      error instanceof UnavailableError
        ? new AzureError('ServiceUnavailable', 'What this service depends on cannot be reached')
        : new AzureError('InternalServerError', 'Internal error'),
    );
  });
  collateralRoutes(app, collateral, now);
  return app.route('/', azure);
}

/** A request id in W3C's traceparent form, as in the real service's answers. */
export function requestId(random: AppDeps['random']): string {
  const id = encodeHex(random(24));
  return `00-${id.slice(0, 32)}-${id.slice(32)}-00`;
}

/** The answer to a body beyond `MAX_BODY`. */
export function tooLarge(): AzureError {
  return new AzureError('RequestEntityTooLarge', 'The request body is larger than 1 MiB');
}

function notFound(path: string): AzureError {
  return methodsOf(path) === undefined
    ? new AzureError('NotFound', 'No such operation')
    : new AzureError('MethodNotAllowed', 'The operation is there by another method');
}
