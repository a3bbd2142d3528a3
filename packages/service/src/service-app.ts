import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { matchedRoutes } from 'hono/route';
import { getPath } from 'hono/utils/url';
import { encodeEnvelope, type EvidenceSource } from '@cloister/attestation';
import {
  asBytes,
  decodeBase64url,
  decodeUtf8,
  MalformedError,
  parseJsonObject,
} from '@cloister/bytes';
import { cors } from './cors.ts';
import { problem } from './problem.ts';
import { shareQuotes } from './share-quotes.ts';
import { UnavailableError } from './unavailable-error.ts';

/** What `/health/ready` says: whether this service can do its work, and which part cannot. */
export interface Health {
  readonly ready: boolean;
  /** By part: `{ store: true, provider: false }`. Names of parts only, no ids. */
  readonly parts?: Readonly<Record<string, boolean>>;
}

/** One request as the log and the metrics may know it: the route's template, never the path. */
export interface SeenRequest {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly ms: number;
}

/** The parts of a service's plain surface. */
export interface ServiceAppOptions {
  readonly service: string;
  /** Absent: this process cannot prove what it is, and says so with 503. See `shareQuotes`. */
  readonly evidence?: EvidenceSource | undefined;
  /** The server half of the channel; absent: `GET` and `POST` of the gateway are not found. */
  readonly gateway?: { handle(request: Request): Promise<Response> } | undefined;
  readonly cors: { readonly origins: readonly string[] };
  readonly health: () => Health | Promise<Health>;
  /** Told of every request, after its answer. */
  readonly observe?: (seen: SeenRequest) => void;
  /** Told of every error that was no fault of the caller, with the route's template. */
  readonly report?: (error: unknown, route: string) => void;
  /** The path as routes are declared, for services whose clients write it in other ways. */
  readonly canonicalPath?: (path: string) => string;
}

const EVIDENCE = '/attestation/evidence';
const GATEWAY = '/.well-known/ohttp-gateway';

/**
 * The plain surface that every service has (design 3.7): evidence, the channel's gateway and key
 * configuration, health, CORS for the portal's origin. Routes added later get the same CORS,
 * error answers and observation.
 */
export function createServiceApp(options: ServiceAppOptions): Hono {
  const { gateway, health, observe, report } = options;
  const evidence = options.evidence === undefined ? undefined : shareQuotes(options.evidence);
  const { canonicalPath } = options;
  const app =
    canonicalPath === undefined
      ? new Hono()
      : new Hono({ getPath: (request) => canonicalPath(getPath(request)) });
  if (observe !== undefined)
    app.use(async (c, next) => {
      const started = performance.now();
      await next();
      const ms = Math.round((performance.now() - started) * 10) / 10;
      observe({ method: c.req.method, route: routeOf(c), status: c.res.status, ms });
    });
  app.use(cors(options.cors.origins));

  app.get('/health/live', (c) => c.json({ live: true }));
  app.get('/health/ready', async (c) => {
    const state = await health();
    return c.json(state, state.ready ? 200 : 503);
  });

  app.get(EVIDENCE, async () =>
    evidence === undefined ? noEvidence() : answer(await evidence.evidence()),
  );
  app.post(EVIDENCE, bodyLimit({ maxSize: 1024, onError: tooLarge }), async (c) => {
    if (evidence === undefined) return noEvidence();
    const nonce = parseNonce(new Uint8Array(await c.req.arrayBuffer()));
    return answer(await evidence.evidence(nonce));
  });

  app.get(GATEWAY, (c) => {
    const keys = evidence?.ohttpKeys;
    if (gateway === undefined || keys === undefined) return c.notFound();
    return new Response(asBytes(keys), {
      headers: { 'content-type': 'application/ohttp-keys', 'cache-control': 'no-store' },
    });
  });
  // Both media types of the channel; the gateway itself bounds what it reads.
  app.post(GATEWAY, (c) => (gateway === undefined ? c.notFound() : gateway.handle(c.req.raw)));

  app.notFound(() => problem(404, 'not_found'));
  app.onError((error, c) => {
    if (error instanceof MalformedError) return problem(400, error.code, error.where);
    report?.(error, routeOf(c));
    if (error instanceof UnavailableError) return problem(503, error.code, error.where);
    return problem(500, 'internal');
  });
  return app;
}

/** The template of the route that answers: the last that is no middleware's wildcard. */
function routeOf(c: Context): string {
  const paths = matchedRoutes(c).map(({ path }) => path);
  return paths.findLast((path) => !path.endsWith('*')) ?? paths.at(-1) ?? '/*';
}

function answer(envelope: Parameters<typeof encodeEnvelope>[0]): Response {
  return Response.json(encodeEnvelope(envelope), { headers: { 'cache-control': 'no-store' } });
}

function noEvidence(): Response {
  return problem(503, 'no_evidence', 'this process has no attester');
}

function tooLarge(): Response {
  return problem(413, 'too_large');
}

/** The body of `POST /attestation/evidence`: `{"nonce": <base64url of 16 to 64 bytes>}`. */
function parseNonce(body: Uint8Array): ReturnType<typeof decodeBase64url> {
  const { nonce, ...rest } = parseJsonObject(
    decodeUtf8(body, 'evidence request'),
    'evidence request',
  );
  if (typeof nonce !== 'string' || Object.keys(rest).length > 0)
    throw new MalformedError('bad_value', 'evidence request');
  const bytes = decodeBase64url(nonce, 'evidence request: nonce');
  if (bytes.length < 16 || bytes.length > 64)
    throw new MalformedError('bad_value', 'evidence request: nonce length');
  return bytes;
}
