import { Hono } from 'hono';
import { encodeHex, type Bytes } from '@cloister/bytes';
import {
  createServiceApp,
  errorCode,
  errorPlace,
  routeTemplate,
  type ServiceAppOptions,
} from '@cloister/service';
import type { AttestDeps } from './attest.ts';
import { AzureError, azureErrorResponse } from './azure-error.ts';
import type { AttestationLog } from './events.ts';
import { attestRoutes } from './routes/attest.ts';
import { collateralRoutes } from './routes/collateral.ts';
import { documentRoutes } from './routes/documents.ts';

/** What this service needs, apart from a port. */
export interface AppDeps extends AttestDeps {
  /** The self-signed certificate of the signing key, DER. */
  readonly certificate: Bytes;
  /** This process's own evidence, where it can give any. */
  readonly evidence?: ServiceAppOptions['evidence'];
  readonly origins: readonly string[];
  readonly log: AttestationLog;
  readonly observe?: ServiceAppOptions['observe'];
}

/** `x-ms-maa-service-version`: ours, in the form of the real one. */
const VERSION = '0.1.0.0';
const PATHS = [
  '/attest/SgxEnclave',
  '/attest/OpenEnclave',
  '/attest/Simulated',
  '/attest/SevSnpVm',
  '/attest/TdxVm',
  '/attest/AzureGuest',
  '/attest/Tpm',
  '/certs',
  '/.well-known/openid-configuration',
  '/collateral/sgx',
  '/collateral/tdx',
];
/** Clients write the paths in any case (spec/azure-attestation.md 1.1). */
const CANONICAL = new Map(PATHS.map((path) => [path.toLowerCase(), path]));

/** The attestation service: the wire contract of Azure Attestation, and design 3.7. */
export function createApp(deps: AppDeps): Hono {
  const { log, random } = deps;
  const report = (error: unknown, route: string): void => {
    const place = { code: errorCode(error), where: errorPlace(error) };
    log('failed', { route: routeTemplate(route), ...place });
  };
  const app = createServiceApp({
    service: 'attestation',
    evidence: deps.evidence,
    cors: { origins: deps.origins },
    health: () => ({ ready: true, parts: { collateral: deps.collateral.size > 0 } }),
    canonicalPath: (path) => CANONICAL.get(path.toLowerCase()) ?? path,
    report,
    ...(deps.observe === undefined ? {} : { observe: deps.observe }),
  });
  const azure = new Hono();
  azure.use(async (c, next) => {
    await next();
    // W3C traceparent form, as in the real service's answers.
    c.header('x-ms-request-id', `00-${encodeHex(random(16))}-${encodeHex(random(8))}-00`);
    c.header('x-ms-maa-service-version', VERSION);
  });
  attestRoutes(azure, deps, log);
  documentRoutes(azure, deps);
  azure.all('/attest/*', () => azureErrorResponse(new AzureError('NotFound', 'No such operation')));
  azure.onError((error) => {
    report(error, '/attest/:kind');
    return azureErrorResponse(new AzureError('InternalServerError', 'Internal error'));
  });
  collateralRoutes(app, deps.collateral, deps.now);
  return app.route('/', azure);
}
