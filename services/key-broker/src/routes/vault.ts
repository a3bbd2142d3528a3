import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { MalformedError, parseJsonObject } from '@cloister/bytes';
import { BrokerError } from '../broker-error.ts';
import type { Vault } from '../vault/vault.ts';
import { VaultError } from '../vault/vault-error.ts';

/** The `resource` that Azure's clients ask their tokens for. */
const RESOURCE = 'https://vault.azure.net';

/**
 * Azure Key Vault's operations on keys, as the unmodified `@azure/keyvault-keys` calls them. Served
 * over TLS that ends in this process only: an import carries a key.
 */
export function vaultRoutes(vault: Vault, baseUrl: () => string): Hono {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: 1 << 20, onError: () => tooLarge() }));
  app.use('/keys/*', async (c, next) => {
    // The client asks once without a body and a token, and reads here where to get one.
    if (bearerOf(c) === undefined) {
      const challenge = `Bearer authorization="${baseUrl()}/cloister", resource="${RESOURCE}"`;
      const error = new VaultError('Unauthorized', 'a bearer token is needed');
      return error.toResponse({ 'www-authenticate': challenge });
    }
    await next();
    return undefined;
  });

  app.put('/keys/:name', async (c) => {
    apiVersionOf(c);
    const { name } = c.req.param();
    return c.json(await vault.import(name, await bodyOf(c), bearerOf(c) ?? ''));
  });
  const get = async (c: Context): Promise<Response> => {
    apiVersionOf(c);
    const { name = '', version } = c.req.param();
    return c.json(await vault.get(name, readVersion(version)));
  };
  app.get('/keys/:name', get);
  app.get('/keys/:name/', get);
  app.get('/keys/:name/:version', get);
  const release = async (c: Context): Promise<Response> => {
    const { name = '', version } = c.req.param();
    const body = await bodyOf(c);
    return c.json(await vault.release(name, readVersion(version), body, apiVersionOf(c)));
  };
  app.post('/keys/:name/release', release);
  // What the client's template makes of a version that was not given.
  app.post('/keys/:name//release', release);
  app.post('/keys/:name/:version/release', release);

  app.notFound(() => new VaultError('KeyNotFound', 'no such operation').toResponse());
  app.onError((error) => {
    if (error instanceof VaultError) return error.toResponse();
    if (error instanceof MalformedError)
      return new VaultError('BadParameter', error.where).toResponse();
    if (error instanceof BrokerError) return ofBroker(error).toResponse();
    throw error;
  });
  return app;
}

function ofBroker(error: BrokerError): VaultError {
  const { code, status } = error;
  if (status === 404) return new VaultError('KeyNotFound', code);
  if (status === 409) return new VaultError('Conflict', code);
  return new VaultError(status >= 500 ? 'ServiceUnavailable' : 'Forbidden', code);
}

function bearerOf(c: Context): string | undefined {
  return /^Bearer ([\w.~+/-]+=*)$/.exec(c.req.header('authorization') ?? '')?.[1];
}

async function bodyOf(c: Context) {
  return parseJsonObject(await c.req.text(), 'request', { maxLength: 1 << 20, maxDepth: 16 });
}

function apiVersionOf(c: Context): string {
  const version = c.req.query('api-version');
  if (version === undefined || !/^[\w.-]{1,32}$/.test(version))
    throw new VaultError('BadParameter', 'api-version');
  return version;
}

function readVersion(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const version = /^[0-9a-f]{32}$/.test(text) ? Number.parseInt(text, 16) : Number.NaN;
  if (!Number.isSafeInteger(version)) throw new VaultError('KeyNotFound', 'no such version');
  return version;
}

function tooLarge(): Response {
  return new VaultError('BadParameter', 'too large').toResponse();
}
