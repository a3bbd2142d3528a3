// The channel in Chromium, by fetch and WebCrypto, against a gateway of another origin.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Bytes, encodeBase64, encodeUtf8 } from '@cloister/bytes';
import { createChannelKeys, createGateway, encodeKeyConfigs } from '@cloister/channel';
import { createServiceApp, nodeChannelPrimitives, serve, type Serving } from '@cloister/service';
import type { Browser, Page } from 'playwright-core';
import { bundleForBrowser } from '../bundle.ts';
import { launchBrowser } from './browser.ts';
import type { ChannelPage } from './channel-page.ts';

const PAGE = fileURLToPath(new URL('channel-page.ts', import.meta.url));
const LARGE = 6_000_000;

declare global {
  var channel: { readonly page: ChannelPage };
}

/** Events that come only when they are asked for. */
function eventSource() {
  let controller: ReadableStreamDefaultController<Bytes> | undefined;
  let n = 0;
  let cancelled = false;
  const next = () => controller?.enqueue(encodeUtf8(`data: event ${n++}\n\n`));
  const open = () => {
    const body = new ReadableStream<Bytes>({
      start: (one) => {
        controller = one;
      },
      cancel: () => {
        cancelled = true;
        controller = undefined;
      },
    });
    next();
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  };
  return { open, next, isCancelled: () => cancelled };
}

const innerOf = (source: ReturnType<typeof eventSource>) => async (request: Request) => {
  const { pathname } = new URL(request.url);
  if (pathname === '/events') return source.open();
  if (pathname === '/next') source.next();
  return pathname === '/echo' ? new Response(request.body) : new Response(new Uint8Array(LARGE));
};

describe('the channel in Chromium', () => {
  const events = eventSource();
  let sites: Serving[] = [];
  let browser: Browser;
  let page: Page;
  let gateway = { url: '', ohttp: '' };
  const complaints: string[] = [];

  before(async () => {
    const { code, imports } = await bundleForBrowser(
      `export { page } from ${JSON.stringify(PAGE)};`,
      { format: 'iife', name: 'channel', assumePure: true },
    );
    assert.deepEqual(imports, []);
    const site = await serve({
      port: 0,
      app: {
        fetch: ({ url }) =>
          url.endsWith('/page.js')
            ? new Response(code, { headers: { 'content-type': 'text/javascript' } })
            : new Response('<!doctype html><title>x</title><script src="/page.js"></script>', {
                headers: { 'content-type': 'text/html' },
              }),
      },
    });
    const primitives = nodeChannelPrimitives();
    const keys = await createChannelKeys({ kem: 'x-wing', keyId: 1, primitives });
    const own = createGateway({
      keys: () => [keys],
      now: () => new Date(),
      wait: delay,
      fetch: innerOf(events),
    });
    const app = createServiceApp({
      service: 'test',
      gateway: own,
      cors: { origins: [site.url] },
      health: () => ({ ready: true }),
    });
    // A host that keeps the end of an answer to itself.
    app.post('/cut', async (c) => {
      const whole = await own.handle(c.req.raw);
      const bytes = await whole.bytes();
      return new Response(bytes.slice(0, -17), { headers: whole.headers });
    });
    const service = await serve({ app, port: 0 });
    sites = [site, service];
    gateway = {
      url: `${service.url}/.well-known/ohttp-gateway`,
      ohttp: encodeBase64(encodeKeyConfigs(keys)),
    };
    browser = await launchBrowser();
    page = await browser.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(`${site.url}/`);
  });
  after(async () => {
    await browser.close();
    await Promise.all(sites.map((site) => site.close()));
    assert.deepEqual(complaints, []);
  });

  const echo = (size: number, options = {}) =>
    page.evaluate(([to, n, how]) => globalThis.channel.page.echo(to, n, how), [
      gateway,
      size,
      options,
    ] as const);

  it('carries whole messages', async () => {
    for (const size of [0, 1, 100_000]) assert.ok((await echo(size)).same, String(size));
  });

  it('carries what is large in chunks, and gives the answer as it comes', async () => {
    assert.ok((await echo(10, { chunked: true })).same);
    const { same, pieces } = await echo(LARGE, { chunked: true });
    assert.ok(same);
    assert.ok(pieces > 100, String(pieces));
  });

  it('follows events as they happen, and tells the application when it goes', async () => {
    const seen = await page.evaluate((to) => globalThis.channel.page.followEvents(to, 4), gateway);
    assert.deepEqual(seen, ['event 0', 'event 1', 'event 2', 'event 3']);
    while (!events.isCancelled()) await delay(20);
  });

  it('says that an answer was cut off', async () => {
    const read = (url: string) =>
      page.evaluate((to) => globalThis.channel.page.readToEnd(to, '/large'), { ...gateway, url });
    assert.equal(await read(gateway.url), undefined);
    const cut = new URL('/cut', gateway.url).href;
    assert.equal(await read(cut), 'answer_truncated');
  });
});
