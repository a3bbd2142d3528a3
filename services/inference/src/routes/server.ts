import type { Hono } from 'hono';
import type { InnerDeps, InnerEnv } from '../inner-app.ts';

/** The server's own routes of the Open Inference Protocol v2: open to whoever reached the channel. */
export function serverRoutes(app: Hono<InnerEnv>, deps: InnerDeps): void {
  app.get('/v2', (c) =>
    c.json({ name: 'cloister-inference', version: '0.1.0', extensions: ['binary_tensor_data'] }),
  );
  app.get('/v2/health/live', (c) => c.json({ live: true }));
  app.get('/v2/health/ready', (c) => {
    const state = readiness(deps);
    return c.json(state, state.ready ? 200 : 503);
  });
}

/** Ready: every model of the manifest is loaded, and a thread is there to run it. */
export function readiness({ models: list, pool }: Pick<InnerDeps, 'models' | 'pool'>): {
  readonly ready: boolean;
  readonly parts: { readonly models: boolean; readonly workers: boolean };
} {
  const models = list();
  const loaded = models.length > 0 && models.every((model) => 'stored' in model);
  const workers = pool.alive() > 0;
  return { ready: loaded && workers, parts: { models: loaded, workers } };
}
