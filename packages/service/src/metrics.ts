import { Hono } from 'hono';

/** A value per set of labels. Labels are closed sets (routes' templates, codes), never ids. */
export type Labels = Readonly<Record<string, string | number | boolean>>;

/** The numbers that a service shows. */
export interface Metrics {
  /** A count that only grows. */
  counter(name: string, help: string): (labels?: Labels, by?: number) => void;
  /** A value that goes up and down: read when it is asked for. */
  gauge(name: string, help: string, read: () => number): void;
  /** How values are spread over the given upper bounds. */
  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
  ): (value: number, labels?: Labels) => void;
  /** Everything in Prometheus' text format 0.0.4. */
  render(): string;
  /** `GET /metrics`, to be served on a port of its own. */
  readonly app: Hono;
}

/** Metrics in memory. */
export function createMetrics(): Metrics {
  const sections: (() => string[])[] = [];
  const render = (): string => sections.flatMap((section) => section()).join('\n') + '\n';
  const app = new Hono();
  app.get('/metrics', (c) =>
    c.body(render(), 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }),
  );
  return {
    render,
    app,
    counter: (name, help) => {
      const values = new Map<string, number>();
      sections.push(() => [
        ...head(name, help, 'counter'),
        ...Array.from(values, ([labels, value]) => `${name}${labels} ${value}`),
      ]);
      return (labels = {}, by = 1) => {
        const key = encodeLabels(labels);
        values.set(key, (values.get(key) ?? 0) + by);
      };
    },
    gauge: (name, help, read) => {
      sections.push(() => [...head(name, help, 'gauge'), `${name} ${read()}`]);
    },
    histogram: (name, help, bounds) => {
      const series = new Map<string, Series>();
      sections.push(() => [
        ...head(name, help, 'histogram'),
        ...Array.from(series.values(), (one) => encodeSeries(name, bounds, one)).flat(),
      ]);
      return (value, labels = {}) => {
        const key = encodeLabels(labels);
        const one = series.get(key) ?? { labels, counts: bounds.map(() => 0), count: 0, sum: 0 };
        series.set(key, one);
        one.count += 1;
        one.sum += value;
        bounds.forEach((bound, i) => {
          if (value <= bound) one.counts[i] = (one.counts[i] ?? 0) + 1;
        });
      };
    },
  };
}

function head(name: string, help: string, type: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

interface Series {
  readonly labels: Labels;
  readonly counts: number[];
  count: number;
  sum: number;
}

function encodeSeries(name: string, bounds: readonly number[], one: Series): string[] {
  const buckets = bounds.map(
    (bound, i) =>
      `${name}_bucket${encodeLabels({ ...one.labels, le: bound })} ${one.counts[i] ?? 0}`,
  );
  const labels = encodeLabels(one.labels);
  return [
    ...buckets,
    `${name}_bucket${encodeLabels({ ...one.labels, le: '+Inf' })} ${one.count}`,
    `${name}_sum${labels} ${one.sum}`,
    `${name}_count${labels} ${one.count}`,
  ];
}

function encodeLabels(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => {
    const text = String(value)
      .replaceAll('\\', '\\\\')
      .replaceAll('"', '\\"')
      .replaceAll('\n', '\\n');
    return `${name}="${text}"`;
  });
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}
