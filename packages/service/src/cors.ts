import type { MiddlewareHandler } from 'hono';

const METHODS = 'GET, POST';
const HEADERS = 'content-type, incremental, x-ms-client-request-id';
const MAX_AGE = '600';

/**
 * Cross-origin access for the portal's origin (design 3.7): `Access-Control-Allow-Origin` names
 * that origin, never `*`, and never allows credentials. A browser at another origin is refused by
 * the header it gets.
 */
export function cors(origins: readonly string[]): MiddlewareHandler {
  return async (c, next) => {
    const asked = c.req.header('origin');
    const allowed = origins.find((origin) => origin === asked) ?? origins[0];
    const preflight =
      c.req.method === 'OPTIONS' && c.req.header('access-control-request-method') !== undefined;
    if (preflight) c.res = new Response(null, { status: 204 });
    else await next();
    c.header('x-content-type-options', 'nosniff');
    if (allowed === undefined) return;
    c.header('access-control-allow-origin', allowed);
    c.header('vary', 'Origin', { append: true });
    if (!preflight) return;
    c.header('access-control-allow-methods', METHODS);
    c.header('access-control-allow-headers', HEADERS);
    c.header('access-control-max-age', MAX_AGE);
  };
}
