import type { Metrics } from '@cloister/service';
import type { Gate } from './gate/gate.ts';
import type { GateStats } from './gate/gate-deps.ts';
import type { OpenedTrust } from './trust/open-trust.ts';

/** The counts of a gate, and how they get into the metrics. */
export interface GateMetrics extends GateStats {
  /** Adds what was counted on the way of requests since the last time. */
  flush(): void;
  /** Shows the connections of a gate, and whether the heads give it time. */
  show(gate: Gate, time: Pick<OpenedTrust, 'hasTime' | 'headAge'>): void;
}

/**
 * Counts for a gate: what happens with every request is a plain number, which goes to the metrics
 * when they are rendered or once a second. Labels are codes; no key, no user, no address.
 */
export function createGateMetrics(metrics: Metrics): GateMetrics {
  const requests = metrics.counter('cloister_cache_requests_total', 'Requests of clients.');
  const bytes = metrics.counter('cloister_cache_bytes_total', 'Bytes of clients, by direction.');
  const denied = metrics.counter('cloister_cache_denied_total', 'Requests refused, by reason.');
  const logins = metrics.counter('cloister_cache_logins_total', 'Logins, by what came of them.');
  const ended = metrics.counter('cloister_cache_ended_total', 'Connections ended, by reason.');
  let told = { requests: 0, bytesIn: 0, bytesOut: 0 };
  const stats: GateMetrics = {
    requests: 0,
    bytesIn: 0,
    bytesOut: 0,
    unparsed: 0,
    denied: (code) => denied({ code }),
    login: (code) => logins({ code }),
    cut: (reason) => ended({ reason }),
    flush: () => {
      requests({}, stats.requests - told.requests);
      bytes({ direction: 'in' }, stats.bytesIn - told.bytesIn);
      bytes({ direction: 'out' }, stats.bytesOut - told.bytesOut);
      told = { requests: stats.requests, bytesIn: stats.bytesIn, bytesOut: stats.bytesOut };
    },
    show: (gate, time) => {
      metrics.gauge('cloister_cache_connections', 'Clients that are logged in.', () => {
        return gate.connections().open;
      });
      metrics.gauge('cloister_cache_connections_fresh', 'Clients that are not.', () => {
        return gate.connections().fresh;
      });
      metrics.gauge(
        'cloister_cache_unparsed_bytes',
        'Bytes of requests that are not yet whole.',
        () => stats.unparsed,
      );
      metrics.gauge(
        'cloister_cache_time',
        "1 while the heads of the hospital's broker give time; at 0 nobody is admitted.",
        () => Number(time.hasTime()),
      );
      metrics.gauge(
        'cloister_cache_head_age_seconds',
        "Since the newest head of the hospital's broker; NaN without one.",
        () => time.headAge() ?? Number.NaN,
      );
    },
  };
  return stats;
}
