import type { Metrics } from './metrics.ts';
import { serve, type Serving } from './serve.ts';

/** Serves `/metrics` on a port of its own, if the settings name one: nobody else is to read it. */
export async function serveMetrics(
  { app }: Pick<Metrics, 'app'>,
  { metricsPort: port, host }: { readonly metricsPort?: number | undefined; readonly host: string },
): Promise<Serving | undefined> {
  return port === undefined ? undefined : serve({ app, port, host });
}
