// The client and the server of services where bytes pass as they come.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type Bytes, concatBytes, encodeUtf8 } from '@cloister/bytes';
import { wireBodyOf } from '../../channel/src/wire/lent-body.ts';
import { createHttpClient } from './http-client.ts';
import { serve } from './serve.ts';

const settle = () => new Promise((resolve) => setImmediate(resolve));
const headers = { 'content-type': 'a/b' };
const streamed = { ...headers, incremental: '?1' };
const { signal } = new AbortController();

async function* each(...texts: readonly string[]): AsyncGenerator<Bytes> {
  for (const text of texts) yield encodeUtf8(text);
}
async function textOf(source: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return new TextDecoder().decode(concatBytes(...pieces));
}

async function* endless(): AsyncGenerator<Bytes> {
  for (;;) {
    yield new Uint8Array(1000);
    await settle();
  }
}
async function* failing(): AsyncGenerator<Bytes> {
  yield encodeUtf8('a');
  throw new Error('broken');
}
type Handler = (request: IncomingMessage, response: ServerResponse) => void;
const unset = (): void => assert.fail('not yet');
const echo: Handler = (request, response) => {
  response.setHeader('x-length', request.headers['content-length'] ?? 'none');
  response.setHeader('x-method', request.method ?? '');
  request.pipe(response);
};

describe('exchange', () => {
  let handler: Handler = unset;
  const server = createServer((request, response) => handler(request, response));
  const client = createHttpClient({ timeoutMs: 300 });
  let url = '';
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  after(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  it('sends pieces as one body with its length, and gives the answer', async () => {
    handler = echo;
    const body = [encodeUtf8('ab'), new Uint8Array(), encodeUtf8('c')];
    const answer = await client.exchange({ url, headers, body, signal });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('x-length'), '3');
    assert.equal(answer.headers.get('x-method'), 'POST');
    assert.equal(await textOf(answer.body), 'abc');
  });

  it('sends a body as it comes, and gives the answer as it comes', async () => {
    handler = echo;
    let go: () => void = unset;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    async function* body(): AsyncGenerator<Bytes> {
      yield encodeUtf8('first');
      await held;
      yield encodeUtf8('second');
    }
    const answer = await client.exchange({ url, headers: streamed, body: body(), signal });
    assert.equal(answer.headers.get('x-length'), 'none');
    const pieces = answer.body[Symbol.asyncIterator]();
    assert.equal(new TextDecoder().decode((await pieces.next()).value), 'first');
    go();
    assert.equal(new TextDecoder().decode((await pieces.next()).value), 'second');
    assert.equal((await pieces.next()).done, true);
  });

  it('takes an answer that comes before all was sent', async () => {
    handler = (_, response) => response.writeHead(413).end('no');
    const answer = await client.exchange({ url, headers: streamed, body: endless(), signal });
    assert.equal(answer.status, 413);
    answer.cancel();
  });

  it('ends what is waited for when it is cancelled', async () => {
    const closed = new Promise<void>((resolve) => {
      handler = (_, response) => {
        response.write('x');
        response.on('close', resolve);
      };
    });
    const answer = await client.exchange({ url, headers: streamed, body: each('a'), signal });
    const pieces = answer.body[Symbol.asyncIterator]();
    await pieces.next();
    const waiting = pieces.next();
    answer.cancel();
    await assert.rejects(waiting);
    await closed;
  });

  it('says what broke: a body that fails, a connection that is cut, silence', async () => {
    handler = () => undefined;
    await assert.rejects(client.exchange({ url, headers: streamed, body: failing(), signal }), {
      name: 'UnavailableError',
    });
    handler = (request) => request.socket.destroy();
    for (const body of [each('a'), [encodeUtf8('a')]])
      await assert.rejects(client.exchange({ url, headers: streamed, body, signal }), {
        code: 'unreachable',
      });
    handler = (request, response) => {
      response.write('x');
      setTimeout(() => request.socket.destroy(), 20);
    };
    const cut = await client.exchange({ url, headers: streamed, body: [], signal });
    await assert.rejects(textOf(cut.body), { code: 'unreachable' });
    handler = () => undefined;
    for (const kind of [headers, streamed])
      await assert.rejects(client.exchange({ url, headers: kind, body: [], signal }), {
        code: 'timeout',
      });
  });

  it('bounds a whole exchange by time, and a streamed one by silence', async () => {
    handler = (_, response) => {
      let n = 0;
      const timer = setInterval(() => {
        response.write('x');
        if (++n === 6) {
          clearInterval(timer);
          response.end();
        }
      }, 80);
      response.on('close', () => clearInterval(timer));
    };
    const slow = await client.exchange({ url, headers: streamed, body: [], signal });
    assert.equal(await textOf(slow.body), 'xxxxxx');
    const bounded = await client.exchange({ url, headers, body: [], signal });
    await assert.rejects(textOf(bounded.body), { code: 'timeout' });
  });

  it('stops when its caller does', async () => {
    handler = () => undefined;
    const abort = new AbortController();
    const waiting = client.exchange({ url, headers, body: [], signal: abort.signal });
    setTimeout(() => abort.abort(), 20);
    await assert.rejects(waiting, { name: 'AbortError' });
  });

  it('asks only the origins that it was given', async () => {
    const other = createHttpClient({ origins: ['http://127.0.0.1:1'] });
    await assert.rejects(other.exchange({ url, headers, body: [], signal }), {
      code: 'host_not_allowed',
    });
  });
});

describe('serve and the channel', () => {
  it('lends bodies as they come off the wire, and leaves the request to others', async () => {
    const pieces: number[] = [];
    const serving = await serve({
      port: 0,
      app: {
        fetch: async (request) => {
          if (request.url.endsWith('/own')) return new Response(await request.text());
          for await (const piece of wireBodyOf(request)) pieces.push(piece.length);
          return new Response('read');
        },
      },
    });
    const client = createHttpClient();
    const post = async (path: string, body: AsyncIterable<Bytes> | readonly Bytes[]) => {
      const answer = await client.exchange({ url: serving.url + path, headers, body, signal });
      return textOf(answer.body);
    };
    assert.equal(await post('/own', [encodeUtf8('abc')]), 'abc');
    assert.equal(await post('/lent', [new Uint8Array(300_000)]), 'read');
    assert.equal(
      pieces.reduce((sum, length) => sum + length, 0),
      300_000,
    );
    assert.ok(pieces.length > 1);
    client.close();
    await serving.close();
  });

  it('answers a body that nobody reads to its end, and takes the next request', async () => {
    const serving = await serve({
      port: 0,
      app: {
        fetch: async (request) => {
          for await (const _ of wireBodyOf(request)) return new Response('enough', { status: 413 });
          return new Response('empty');
        },
      },
    });
    const client = createHttpClient();
    for (let i = 0; i < 3; i++) {
      const body = [new Uint8Array(1_000_000)];
      const answer = await client.exchange({ url: serving.url, headers, body, signal });
      assert.equal(answer.status, 413);
      assert.equal(await textOf(answer.body), 'enough');
    }
    client.close();
    await serving.close();
  });

  it('ends a body whose sender goes away', async () => {
    let tell: (error: unknown) => void = unset;
    const failed = new Promise<unknown>((resolve) => {
      tell = resolve;
    });
    const serving = await serve({
      port: 0,
      app: {
        fetch: async (request) => {
          try {
            for await (const _ of wireBodyOf(request));
          } catch (error) {
            tell(error);
          }
          return new Response('x');
        },
      },
    });
    const { hostname, port } = new URL(serving.url);
    const socket = connect(Number(port), hostname, () => {
      socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc');
      setTimeout(() => socket.destroy(), 30);
    });
    assert.ok((await failed) instanceof Error);
    await serving.close();
  });
});
