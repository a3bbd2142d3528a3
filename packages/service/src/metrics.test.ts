import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMetrics } from './metrics.ts';

describe('createMetrics', () => {
  const metrics = createMetrics();
  const count = metrics.counter('c_total', 'Counted.');
  count({ route: '/a', status: 200 });
  count({ route: '/a', status: 200 }, 2);
  count();
  metrics.gauge('g', 'Now.', () => 7);
  const spread = metrics.histogram('h', 'Spread.', [1, 10]);
  spread(0.5);
  spread(5);
  spread(50, { kind: 'a"b' });

  it("renders Prometheus' text", () => {
    assert.equal(
      metrics.render(),
      [
        '# HELP c_total Counted.',
        '# TYPE c_total counter',
        'c_total{route="/a",status="200"} 3',
        'c_total 1',
        '# HELP g Now.',
        '# TYPE g gauge',
        'g 7',
        '# HELP h Spread.',
        '# TYPE h histogram',
        'h_bucket{le="1"} 1',
        'h_bucket{le="10"} 2',
        'h_bucket{le="+Inf"} 2',
        'h_sum 5.5',
        'h_count 2',
        'h_bucket{kind="a\\"b",le="1"} 0',
        'h_bucket{kind="a\\"b",le="10"} 0',
        'h_bucket{kind="a\\"b",le="+Inf"} 1',
        'h_sum{kind="a\\"b"} 50',
        'h_count{kind="a\\"b"} 1',
        '',
      ].join('\n'),
    );
  });

  it('serves it at /metrics', async () => {
    const answer = await metrics.app.request('/metrics');
    assert.match(answer.headers.get('content-type') ?? '', /version=0\.0\.4/);
    assert.equal(await answer.text(), metrics.render());
  });
});
