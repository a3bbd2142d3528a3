import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { createSimulatedQuote } from '@cloister/attestation';
import type { Serving } from '@cloister/service';
import { createApp, MAX_BODY, type AppDeps } from './app.ts';
import { attestHeaders } from './attest-headers.ts';
import { b64, makeSimulated, PORTAL, random } from './fixture.test.ts';
import { listen, type ListenOptions } from './listen.ts';
import { RateLimit } from './rate-limit.ts';
import type { AnswerAttest } from './routes/attest.ts';

const PATH = '/attest/Simulated?api-version=2025-06-01';
const none = new RateLimit(0, () => 0);
const breaking: AnswerAttest = () => Promise.reject(new TypeError('CANARY'));

async function start(deps: AppDeps, changes: Partial<ListenOptions> = {}): Promise<Serving> {
  const app = createApp(deps);
  return listen({
    app: { fetch: (request) => app.fetch(request) },
    attest: deps.answerAttest,
    headers: attestHeaders([PORTAL], random),
    maxBody: MAX_BODY,
    limits: { attest: none, others: none },
    report: () => undefined,
    port: 0,
    host: '127.0.0.1',
    ...changes,
  });
}

describe('listening', async () => {
  const { app, platform, deps } = await makeSimulated();
  const quote = await createSimulatedQuote(platform, {
    mrenclave: '1a'.repeat(32),
    mrsigner: '2b'.repeat(32),
    isvProdId: 7,
    isvSvn: 9,
    reportData: new Uint8Array(64),
  });
  const body = JSON.stringify({ quote: b64(quote) });
  let serving: Serving;

  before(async () => {
    serving = await start(deps);
  });
  after(() => serving.close());

  it('answers attest requests as the app does, header by header', async () => {
    const cases: [string, string, string][] = [
      [PATH, body, PORTAL],
      ['/ATTEST/simulated?api-version=2020-10-01', body, 'https://evil.example'],
      ['/attest/Simulated', body, PORTAL],
      ['/attest/Simulated?api-version=1', body, PORTAL],
      [PATH, '{', PORTAL],
      [PATH, '', PORTAL],
      [PATH, JSON.stringify({ quote: b64(quote.subarray(0, 400)) }), PORTAL],
      ['/attest/SgxEnclave?api-version=2020-10-01', body, PORTAL],
    ];
    for (const [path, sent, origin] of cases) {
      const init = { method: 'POST', body: sent, headers: { origin } };
      const fast = await fetch(`${serving.url}${path}`, init);
      const slow = await app.request(path, init);
      assert.equal(fast.status, slow.status, path);
      const unlike = ['connection', 'keep-alive', 'date', 'content-length', 'x-ms-request-id'];
      const headers = (answer: Response) =>
        [...answer.headers]
          .filter(([name]) => !unlike.includes(name))
          .map(String)
          .toSorted();
      assert.deepEqual(headers(fast), headers(slow), path);
      assert.match(fast.headers.get('x-ms-request-id') ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
      const [left, right] = [await fast.text(), await slow.text()];
      if (fast.status !== 200) assert.equal(left, right);
      else assert.equal(Object.keys(JSON.parse(left) as object).join(), 'token');
    }
  });

  it('relays everything else', async () => {
    const certs = await fetch(`${serving.url}/certs`);
    assert.equal(certs.status, 200);
    assert.equal(certs.headers.get('access-control-allow-origin'), PORTAL);
    assert.equal(((await certs.json()) as { keys: unknown[] }).keys.length, 1);
    const put = await fetch(`${serving.url}/policies/TdxVm?api-version=2025-06-01`, {
      method: 'PUT',
      body: 'nothing',
    });
    assert.equal(put.status, 400);
    const head = await fetch(`${serving.url}/certs`, { method: 'HEAD' });
    assert.equal(await head.text(), '');
    const preflight = await fetch(`${serving.url}${PATH}`, {
      method: 'OPTIONS',
      headers: { origin: PORTAL, 'access-control-request-method': 'POST' },
    });
    assert.equal(preflight.status, 204);
  });

  it('refuses a body that is too large, whether it says so or not', async () => {
    const large = 'x'.repeat(MAX_BODY + 1);
    for (const path of [PATH, '/policies/TdxVm:reset?api-version=2025-06-01']) {
      const answer = await fetch(`${serving.url}${path}`, { method: 'POST', body: large });
      assert.equal(answer.status, 413);
      assert.match(await answer.text(), /RequestEntityTooLarge/);
    }
    const status = await new Promise((resolve, reject) => {
      const request = httpRequest(`${serving.url}${PATH}`, { method: 'POST' }, (answer) => {
        resolve(answer.statusCode);
        answer.destroy();
      });
      request.on('error', reject);
      for (let i = 0; i < 20; i++) request.write('x'.repeat(1 << 16));
      request.end();
    });
    assert.equal(status, 413);
  });

  it('lives on when callers go away or write nonsense', async () => {
    const address = new URL(serving.url);
    const port = Number(address.port);
    for (const text of [
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{`,
      'GET http://[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      '\0\0\0\0\r\n\r\n',
    ]) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(text);
      const timer = setTimeout(() => socket.destroy(), 100);
      socket.resume();
      await once(socket, 'close');
      clearTimeout(timer);
    }
    assert.equal((await fetch(`${serving.url}/health/live`)).status, 200);
  });

  it('limits an address, in attesting and in all else apart', async () => {
    const limited = await start(deps, {
      limits: { attest: new RateLimit(1, () => 0), others: new RateLimit(2, () => 0) },
    });
    try {
      const attest = async () =>
        (await fetch(`${limited.url}${PATH}`, { method: 'POST', body })).status;
      const other = async () => (await fetch(`${limited.url}/certs`)).status;
      const both = [await attest(), await attest(), await attest()];
      assert.deepEqual(both, [200, 200, 429]);
      const rest = [await other(), await other(), await other(), await other(), await other()];
      assert.deepEqual(rest, [200, 200, 200, 200, 429]);
    } finally {
      await limited.close();
    }
  });

  it('answers with no internals when something unforeseen fails', async () => {
    const errors: unknown[] = [];
    const broken = await start(deps, { attest: breaking, report: (error) => errors.push(error) });
    try {
      const answer = await fetch(`${broken.url}${PATH}`, { method: 'POST', body });
      assert.equal(answer.status, 500);
      assert.ok(!(await answer.text()).includes('CANARY'));
      assert.equal(errors.length, 1);
    } finally {
      await broken.close();
    }
  });

  it('says that an address cannot be had', async () => {
    const port = Number(new URL(serving.url).port);
    await assert.rejects(start(deps, { port }), { name: 'ConfigError' });
  });
});
