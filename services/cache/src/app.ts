import type { Hono } from 'hono';
import type { EvidenceSource } from '@cloister/attestation';
import {
  createServiceApp,
  errorCode,
  errorPlace,
  type Health,
  type Metrics,
} from '@cloister/service';
import type { CacheLog } from './events.ts';

/** What the plain surface of the gate needs. */
export interface AppDeps {
  readonly evidence: EvidenceSource;
  readonly health: () => Promise<Health>;
  readonly origins: readonly string[];
  readonly log: CacheLog;
  readonly metrics: Metrics;
}

/**
 * The plain surface of the cache gate (design 3.7): evidence and health. There is no channel: its
 * clients speak TLS to the attested `tls` key, on a port of its own.
 */
export function createApp({ evidence, health, origins, log, metrics }: AppDeps): Hono {
  const count = metrics.counter('cloister_requests_total', 'Requests by route and status.');
  return createServiceApp({
    service: 'cache',
    evidence,
    cors: { origins },
    health,
    observe: ({ route, status }) => count({ route, status }),
    report: (error) => log('failed', { code: errorCode(error), where: errorPlace(error) }),
  });
}
