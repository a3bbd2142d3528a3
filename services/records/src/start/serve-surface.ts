import { setTimeout as delay } from 'node:timers/promises';
import { createGateway } from '@cloister/channel';
import {
  createMetrics,
  createServiceApp,
  errorCode,
  errorPlace,
  type Health,
  type Log,
  routeTemplate,
  serve,
  serveMetrics,
} from '@cloister/service';
import type { createApp } from '../app.ts';
import type { ChannelIdentity } from '../channel-identity.ts';
import type { Config } from '../config.ts';
import type { RecordsEvents } from '../events.ts';
import { type Releases, SERVICE } from '../trust/open-releases.ts';

/** What is behind the plain surface. */
export interface SurfaceOptions {
  /** What is offered inside the channel. */
  readonly inner: ReturnType<typeof createApp>;
  readonly channel: ChannelIdentity;
  /** Refuses whatever comes after a lease has ended. */
  readonly guard: Releases['guard'];
  readonly health: () => Promise<Health>;
  readonly now: () => Date;
  readonly log: Log<RecordsEvents>;
}

/** Serves the plain surface (design 3.7): evidence, health and the channel; metrics on a port of their own. */
export async function serveSurface(
  config: Pick<Config, 'port' | 'host' | 'metricsPort' | 'portalOrigin'>,
  { inner, channel, guard, health, now, log }: SurfaceOptions,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const fault = (error: unknown, where: string): void => {
    const [code, place] = [errorCode(error), errorPlace(error)];
    log('fault', { route: routeTemplate(where), code, place });
  };
  const gateway = createGateway({
    keys: channel.keys,
    now,
    wait: delay,
    fetch: (request, { encapsulation }) => inner.fetch(request, { encapsulation }),
    onError: (error) => fault(error, 'gateway'),
  });
  const metrics = createMetrics();
  const requests = metrics.counter('records_requests_total', 'Requests of the plain surface.');
  const app = createServiceApp({
    service: SERVICE,
    evidence: channel,
    gateway: guard(gateway),
    cors: { origins: config.portalOrigin },
    health,
    observe: ({ route, status }) => requests({ route: routeTemplate(route), status }),
    report: fault,
  });
  const serving = await serve({ app, port: config.port, host: config.host });
  const shown = await serveMetrics(metrics, config);
  return {
    url: serving.url,
    close: async () => {
      await Promise.all([serving.close(), shown?.close()]);
    },
  };
}
