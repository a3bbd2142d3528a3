import type { Hono } from 'hono';
import { parseManifestFile } from '@cloister/attestation';
import { parseJson, decodeUtf8 } from '@cloister/bytes';
import { BrokerError } from '../broker-error.ts';
import type { Broker } from '../broker.ts';
import { encodeFile } from '../trust/manifest-book.ts';

/**
 * The manifest in force, its chain, and the way to the next one. Public and signed: also outside of
 * the channel.
 */
export function manifestRoutes(app: Hono, broker: Broker): void {
  app.get('/v1/manifest', async (c) => {
    const newest = (await broker.book.files()).at(-1);
    if (newest === undefined) throw new BrokerError('manifest_absent');
    return c.body(encodeFile(newest), 200, { 'content-type': 'application/json' });
  });

  app.get('/v1/manifest/history', async (c) => {
    const files = await broker.book.files();
    return c.json({ manifests: files.map((file) => parseJson(decodeUtf8(encodeFile(file)))) });
  });

  app.post('/v1/manifest', async (c) => {
    const outcome = await broker.activate(parseManifestFile(await c.req.text()));
    return c.json(outcome, 'pending' in outcome ? 202 : 200);
  });
}
