import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMetrics } from '@cloister/service';
import { createGateMetrics } from './gate-metrics.ts';

describe('createGateMetrics', () => {
  it('adds what was counted on the way of requests, once', () => {
    const metrics = createMetrics();
    const stats = createGateMetrics(metrics);
    stats.requests += 3;
    stats.bytesIn += 100;
    stats.flush();
    stats.flush();
    stats.requests += 1;
    stats.flush();
    stats.denied('key');
    stats.login('possession');
    stats.cut('expired');
    const lines = metrics.render().split('\n');
    for (const line of [
      'cloister_cache_requests_total 4',
      'cloister_cache_bytes_total{direction="in"} 100',
      'cloister_cache_denied_total{code="key"} 1',
      'cloister_cache_logins_total{code="possession"} 1',
      'cloister_cache_ended_total{reason="expired"} 1',
    ])
      assert.ok(lines.includes(line), line);
  });
});
