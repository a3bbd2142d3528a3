import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createHttpClient } from './http-client.ts';
import { createMetrics } from './metrics.ts';
import { serveMetrics } from './serve-metrics.ts';

describe('serveMetrics', () => {
  it('serves them where a port is named, and nowhere else', async () => {
    const metrics = createMetrics();
    metrics.counter('seen_total', 'What was seen.')({});
    const shown = await serveMetrics(metrics, { metricsPort: 0, host: '127.0.0.1' });
    assert.ok(shown);
    const client = createHttpClient();
    try {
      const answer = await client(new Request(`${shown.url}/metrics`));
      assert.match(await answer.text(), /^seen_total 1$/m);
    } finally {
      client.close();
      await shown.close();
    }
    assert.equal(await serveMetrics(metrics, { host: '127.0.0.1' }), undefined);
  });
});
