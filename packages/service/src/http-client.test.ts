import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { createHttpClient } from './http-client.ts';

const run = (program: string) =>
  spawnSync(
    process.execPath,
    ['--conditions=@cloister/source', '--input-type=module', '--eval', program],
    { encoding: 'utf8', timeout: 20_000 },
  );
const program = (call: string) => `
  import { createServer } from 'node:http';
  import { createHttpClient } from ${JSON.stringify(import.meta.resolve('./http-client.ts'))};
  let loaded = 0;
  for (const name of ['compile', 'instantiate', 'Module'])
    WebAssembly[name] = new Proxy(WebAssembly[name], {
      apply: (f, self, args) => (loaded++, f.apply(self, args)),
      construct: (f, args) => (loaded++, new f(...args)),
    });
  const server = createServer((_, response) => response.end('here'));
  server.listen(0, '127.0.0.1', async () => {
    const url = 'http://127.0.0.1:' + server.address().port;
    console.log(await (await ${call}).text(), loaded);
    process.exit();
  });`;

/** A server that answers one request on each connection, and drops the connection at the next. */
async function startClosing() {
  const seen: string[] = [];
  const used = new WeakSet();
  const closing = createServer((request, response) => {
    const { socket } = request;
    request.on('data', () => undefined);
    request.on('end', () => {
      seen.push(request.method ?? '');
      if (used.has(socket)) socket.destroy();
      else response.end('x');
      used.add(socket);
    });
  });
  await new Promise<void>((resolve) => closing.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(closing.address() as AddressInfo).port}`;
  return { url, seen, stop: () => closing.close() };
}
/** What a client over a used connection gets for this request, and how often it was sent. */
const send = async (path: string, init: RequestInit) => {
  const { url, seen, stop } = await startClosing();
  const own = createHttpClient();
  try {
    await (await own(new Request(url))).text();
    const text = await own(new Request(url + path, init)).then(
      (answer) => answer.text(),
      (error: { code?: string }) => error.code,
    );
    return { text, copies: seen.length - 1 };
  } finally {
    own.close();
    stop();
  }
};
const encapsulated = (type: string) => ({
  method: 'POST',
  body: 'b',
  headers: { 'content-type': `message/ohttp-${type}` },
});

describe('createHttpClient', () => {
  let server: Server;
  let base = '';
  const client = createHttpClient({ timeoutMs: 300, maxBytes: 1000 });
  const sockets = new Set<unknown>();

  before(async () => {
    server = createServer((request, response) => {
      sockets.add(request.socket);
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (request.url === '/hang') return;
        if (request.url === '/redirect') {
          response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
        } else if (request.url === '/empty') response.writeHead(204).end();
        else if (request.url === '/large') response.end('x'.repeat(1001));
        else if (request.url === '/cut') {
          response.writeHead(200, { 'content-length': 10 });
          response.write('x');
          setTimeout(() => request.socket.destroy(), 20);
        } else if (request.url === '/drop') request.socket.destroy();
        else {
          response.setHeader('x-method', request.method ?? '');
          response.setHeader('x-length', request.headers['content-length'] ?? 'none');
          response.setHeader('set-cookie', ['a=1', 'b=2']);
          response.end(Buffer.concat(chunks));
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    base = `http://127.0.0.1:${port}`;
  });
  after(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });

  it('sends a body with its length and gives back bytes, headers and status', async () => {
    const body = Uint8Array.of(1, 2, 255);
    const answer = await client(new Request(`${base}/echo`, { method: 'POST', body }));
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('x-method'), 'POST');
    assert.equal(answer.headers.get('x-length'), '3');
    assert.deepEqual(answer.headers.getSetCookie(), ['a=1', 'b=2']);
    assert.deepEqual(new Uint8Array(await answer.arrayBuffer()), body);
  });

  it('keeps connections open', async () => {
    sockets.clear();
    for (let i = 0; i < 3; i++) await (await client(new Request(`${base}/echo`))).text();
    assert.equal(sockets.size, 1);
  });

  describe('when the server closes a kept connection as it is used', () => {
    it('sends again what does nothing more the second time, or is refused as a copy then', async () => {
      const cases: readonly (readonly [string, RequestInit])[] = [
        ['/', { method: 'GET' }],
        ['/', { method: 'PUT', body: 'b' }],
        ['/', { method: 'DELETE' }],
        ['/.well-known/ohttp-gateway', encapsulated('req')],
        ['/.well-known/ohttp-gateway', encapsulated('chunked-req')],
        ['/attestation/evidence', { method: 'POST', body: '{}' }],
        ['/attest/SgxEnclave?api-version=2022-08-01', { method: 'POST', body: '{}' }],
        ['/v1/witness', { method: 'POST', body: '{}' }],
      ];
      for (const [path, init] of cases)
        assert.deepEqual(await send(path, init), { text: 'x', copies: 2 }, path);
    });

    it('does not send again what may have had an effect', async () => {
      for (const method of ['POST', 'PATCH'])
        assert.deepEqual(await send('/orders', { method, body: 'b' }), {
          text: 'unreachable',
          copies: 1,
        });
    });
  });

  it('gives redirects back, and answers without a body', async () => {
    assert.equal((await client(new Request(`${base}/redirect`))).status, 302);
    assert.equal((await client(new Request(`${base}/empty`))).status, 204);
  });

  it('asks only the origins it was given', async () => {
    const narrow = createHttpClient({ origins: ['https://other.example'] });
    await assert.rejects(narrow(new Request(`${base}/echo`)), { code: 'host_not_allowed' });
    await assert.rejects(client(new Request('data:text/plain,x')), { code: 'host_not_allowed' });
  });

  const failures = { '/hang': 'timeout', '/large': 'too_large', '/cut': 'unreachable' };
  for (const [path, code] of Object.entries(failures))
    it(`says ${code} at ${path}`, async () => {
      await assert.rejects(client(new Request(base + path)), { name: 'UnavailableError', code });
    });

  it('says unreachable when nobody listens or the connection is dropped', async () => {
    await assert.rejects(client(new Request('http://127.0.0.1:1/')), { code: 'unreachable' });
    await assert.rejects(client(new Request(`${base}/drop`)), { code: 'unreachable' });
  });

  it('stops when the caller does', async () => {
    const abort = new AbortController();
    const asked = client(new Request(`${base}/hang`, { signal: abort.signal }));
    setTimeout(() => abort.abort(), 20);
    await assert.rejects(asked, { name: 'AbortError' });
  });

  it('loads no WebAssembly, as global fetch does', () => {
    assert.equal(run(program('createHttpClient()(new Request(url))')).stdout, 'here 0\n');
    assert.match(run(program('fetch(url)')).stdout, /^here [1-9]/);
  });
});
