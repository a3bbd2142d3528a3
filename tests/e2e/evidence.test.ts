import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { normalize } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { VerificationCache } from '@cloister/attestation';
import type { Browser, Page } from 'playwright-core';
import {
  findDisagreements,
  judgeVector,
  parseVectors,
  readBeside,
} from '../../apps/cli/src/evidence-vectors.ts';
import { bundleForBrowser } from '../bundle.ts';
import { shared, sharedMissing } from '../shared.ts';
import { launchBrowser } from './browser.ts';
import type { Blocking, EvidencePage } from './evidence-page.ts';

const MANIFEST = shared('vectors/EVIDENCE-MANIFEST.json');
const PAGE = fileURLToPath(new URL('evidence-page.ts', import.meta.url));
/** A frame of a 120 Hz screen. */
const LIMIT_MS = 8;
const POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'";

declare global {
  var evidence: { readonly page: EvidencePage };
}

/** The page with the library, and the vectors: nothing else is reachable, nothing else runs. */
async function serve(): Promise<Server> {
  const entry = `export { page } from ${JSON.stringify(PAGE)};`;
  const options = { format: 'iife', name: 'evidence', assumePure: true } as const;
  const { code, imports } = await bundleForBrowser(entry, options);
  assert.deepEqual(imports, []);
  const server = createServer((request, response) => {
    const path = normalize(request.url ?? '/');
    const headers = { 'content-security-policy': POLICY };
    if (path === '/') {
      const body = '<!doctype html><title>evidence</title><script src="/page.js"></script>';
      response.writeHead(200, { ...headers, 'content-type': 'text/html' }).end(body);
    } else if (path === '/page.js') {
      response.writeHead(200, { ...headers, 'content-type': 'text/javascript' }).end(code);
    } else if (path.startsWith('/vectors/')) {
      response.writeHead(200, headers).end(readFileSync(shared(path.slice(1))));
    } else response.writeHead(404, headers).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

describe('evidence in Chromium', { skip: sharedMissing }, () => {
  let server: Server;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  before(async () => {
    server = await serve();
    browser = await launchBrowser();
    page = await browser.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  });
  after(async () => {
    await browser.close();
    server.closeAllConnections();
    server.close();
  });

  it('every vector comes out as the reference says, and as in Node', async (t) => {
    const found = await page.evaluate(() => globalThis.evidence.page.judgeAll());
    const vectors = parseVectors(readFileSync(MANIFEST, 'utf8'));
    assert.equal(found.length, vectors.length);
    const cache = new VerificationCache();
    for (const [i, vector] of vectors.entries()) {
      const outcome = found[i];
      assert.ok(outcome);
      assert.deepEqual(findDisagreements(vector, outcome), [], vector.id);
      const here = await judgeVector(vector, readBeside(MANIFEST, vector), cache);
      // What crossed the boundary of the page is JSON.
      assert.deepEqual(outcome, JSON.parse(JSON.stringify(here)), vector.id);
    }
    assert.deepEqual(complaints, []);
    t.diagnostic(`${found.length} vectors`);
  });

  it('the watch sees what blocks', async () => {
    const seen = await page.evaluate(() => globalThis.evidence.page.measureBusy(20));
    assert.ok(seen >= 19, `${seen} ms`);
  });

  for (const kind of ['sgx/quote', 'tdx/quote', 'snp/snp-report', 'snp/hcl-report']) {
    it(`verifying ${kind} from nothing never blocks the page longer than ${LIMIT_MS} ms`, async (t) => {
      const measured = await page.evaluate(
        (wanted) => globalThis.evidence.page.measureAll(wanted),
        kind,
      );
      const [worst] = measured.toSorted((a: Blocking, b: Blocking) => b.longest - a.longest);
      assert.ok(worst, 'no vector');
      t.diagnostic(`${measured.length} vectors, worst ${worst.longest.toFixed(1)} ms: ${worst.id}`);
      assert.ok(worst.longest <= LIMIT_MS, `${worst.id}: ${worst.longest.toFixed(1)} ms`);
    });
  }
});
