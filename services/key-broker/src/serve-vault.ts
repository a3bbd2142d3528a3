import { createServer } from 'node:https';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import { ConfigError, errorCode, type Serving } from '@cloister/service';
import type { VaultSigner } from './vault/vault-certificate.ts';

/** Serves the vault's protocol over TLS that ends in this process: an import carries a key. */
export async function serveVault(
  app: Hono,
  { pem }: VaultSigner,
  { port, host }: { readonly port: number; readonly host: string },
): Promise<Serving> {
  const server = createAdaptorServer({
    fetch: (request) => app.fetch(request),
    overrideGlobalObjects: false,
    createServer,
    // Azure's clients still speak 1.2 in places.
    serverOptions: { key: pem.key, cert: pem.cert, minVersion: 'TLSv1.2' },
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new ConfigError(`vault port: ${errorCode(error)}`, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
  const address = server.address();
  const at = typeof address === 'object' && address !== null ? address.port : port;
  return {
    url: `https://${host}:${at}`,
    close: () =>
      new Promise<void>((resolve) => {
        if ('closeAllConnections' in server) server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
