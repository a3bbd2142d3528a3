import { createAdaptorServer, type Http2Bindings, type HttpBindings } from '@hono/node-server';
import { lendBody } from '@cloister/channel';
import { ConfigError } from './config-error.ts';
import { errorCode } from './log.ts';

/** A server that listens. */
export interface Serving {
  /** Where it listens: `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Stops taking connections, lets answers finish for a while, then closes everything. */
  close(): Promise<void>;
}

/** What is served, and where. */
export interface ServeOptions {
  readonly app: { fetch(request: Request): Response | Promise<Response> };
  /** 0 takes any free port. */
  readonly port: number;
  readonly host?: string;
  /** How long `close` waits for answers under way; 5 s unless told. */
  readonly graceMs?: number;
}

/** Serves an app on plain HTTP/1.1. Throws ConfigError when the address cannot be had. */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { app, port, host = '127.0.0.1', graceMs = 5000 } = options;
  const server = createAdaptorServer({
    fetch: (request, { incoming }: HttpBindings | Http2Bindings) => {
      // For the channel's gateway. Left early, it must not take the connection with it.
      if (incoming.method === 'POST')
        lendBody(request, incoming.iterator({ destroyOnReturn: false }), { owned: true });
      return app.fetch(request);
    },
    // Libraries and tests compare with the global Request and Response: leave those alone.
    overrideGlobalObjects: false,
    serverOptions: { keepAliveTimeout: 65_000, headersTimeout: 20_000, requestTimeout: 120_000 },
  });
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error): void => {
      reject(new ConfigError(`port: ${errorCode(error)}`, { cause: error }));
    };
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      resolve();
    });
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new ConfigError('port: no address');
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${shown}:${address.port}`,
    close: () =>
      new Promise<void>((resolve) => {
        const closeAll = (): void => {
          if ('closeAllConnections' in server) server.closeAllConnections();
        };
        const timer = setTimeout(closeAll, graceMs);
        // Connections that are kept open go one by one, as their answers end.
        const sweep = setInterval(() => {
          if ('closeIdleConnections' in server) server.closeIdleConnections();
        }, 20);
        server.close(() => {
          clearTimeout(timer);
          clearInterval(sweep);
          resolve();
        });
      }),
  };
}

/** What of `process` a service's `main.ts` lends for its shutdown. */
export interface SignalSource {
  once(signal: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
}

/** Resolves on the first SIGTERM or SIGINT; a second one then ends the process at once. */
export function untilSignal(signals: SignalSource): Promise<'SIGTERM' | 'SIGINT'> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      signals.once(signal, () => resolve(signal));
  });
}
