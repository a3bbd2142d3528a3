import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Bytes, equalBytes } from '@cloister/bytes';
import { varintSize } from './binary-http/varint.ts';
import { outerPost, peerWith, post, random, NOW, setup } from './channel-setup.test.ts';
import {
  chunkedSetup,
  collect,
  requestOf,
  REQUEST_START,
  RESPONSE_START,
  takeApart,
} from './chunked-setup.test.ts';
import { createChannelKeys, encodeKeyConfigs } from './ohttp/channel-keys.ts';
import { paddedLength } from './padding.ts';
import { KEY_PROBLEM, problemResponse } from './problem.ts';
import { piecesOf } from './wire/byte-stream.ts';

const echo = async (request: Request) =>
  new Response(await request.bytes(), {
    status: 201,
    headers: { 'x-url': request.url, 'x-method': request.method },
  });
const LARGE = random(300_000);
async function* inPieces(bytes: Bytes, size = 70_000): AsyncGenerator<Bytes> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}
const bytesOf = (pieces: readonly Uint8Array[] | undefined) =>
  collect(
    (async function* () {
      yield* pieces ?? assert.fail();
    })(),
  );

const bodyOf = (size: number) => requestOf({ method: 'POST', body: new Uint8Array(size) });
const unset = (): never => assert.fail('not yet');

describe('chunked channel and gateway', () => {
  for (const [what, content] of [
    ['nothing', new Uint8Array()],
    ['a little', random(10)],
    ['what the gateway awaits', random(60_000)],
    ['what it streams', LARGE],
  ] as const)
    it(`carry ${what} there and back`, async () => {
      const { fetch, calls, answers } = await chunkedSetup({ app: echo });
      const response = await fetch(requestOf(), { content, chunked: true });
      assert.equal(response.status, 201);
      assert.equal(response.headers.get('x-url'), 'https://records/upload?a=1');
      assert.ok(equalBytes(await response.bytes(), content));
      assert.deepEqual(calls[0]?.headers, {
        'content-type': 'message/ohttp-chunked-req',
        accept: 'message/ohttp-chunked-res',
        incremental: '?1',
      });
      const { headers, status } = answers[0] ?? assert.fail();
      assert.equal(status, 200);
      assert.equal(headers.get('content-type'), 'message/ohttp-chunked-res');
      assert.equal(headers.get('incremental'), '?1');
      assert.equal(headers.get('cache-control'), 'no-store');
    });

  it('carry a GET, and answers without content', async () => {
    const { fetch } = await chunkedSetup({
      app: ({ method }) => new Response(null, { status: 204, headers: { method } }),
    });
    const response = await fetch(requestOf({}), { chunked: true });
    assert.equal(response.status, 204);
    assert.equal(response.headers.get('method'), 'GET');
  });

  it('carry streams in both directions at once', async () => {
    const { fetch } = await chunkedSetup({
      app: (request) => new Response(request.body),
    });
    const response = await fetch(requestOf(), { content: inPieces(LARGE) });
    assert.ok(equalBytes(await response.bytes(), LARGE));
  });

  it('choose chunks for what is long, or streams, or asks for events, and only for that', async () => {
    const { fetch, calls } = await chunkedSetup({ app: echo, channel: { chunkedAbove: 1000 } });
    const sent = async (...call: Parameters<typeof fetch>) => {
      await (await fetch(...call)).bytes();
      return calls.at(-1)?.headers['content-type'];
    };
    const whole = 'message/ohttp-req';
    const chunked = 'message/ohttp-chunked-req';
    assert.equal(await sent(bodyOf(1000)), whole);
    assert.equal(await sent(bodyOf(1001)), chunked);
    assert.equal(await sent(requestOf(), { content: new Uint8Array(1000) }), whole);
    assert.equal(await sent(requestOf(), { content: new Uint8Array(1001) }), chunked);
    assert.equal(await sent(requestOf(), { content: new Uint8Array(1001), chunked: false }), whole);
    assert.equal(await sent(requestOf(), { content: inPieces(new Uint8Array(3)) }), chunked);
    const accept = 'application/json, Text/Event-Stream;q=0.5';
    assert.equal(await sent(requestOf({ headers: { accept } })), chunked);
    assert.equal(await sent(requestOf({ headers: { accept: 'text/event-streams' } })), whole);
  });

  it('show nothing but full chunks and a padded length', async () => {
    const { fetch, sent, received } = await chunkedSetup({ app: echo });
    await (await fetch(requestOf(), { content: inPieces(LARGE, 1234) })).bytes();
    for (const [start, pieces] of [
      [REQUEST_START, sent[0]],
      [RESPONSE_START, received[0]],
    ] as const) {
      const { chunks } = takeApart(await bytesOf(pieces), start);
      const last = chunks.at(-1) ?? assert.fail();
      assert.equal(last.length, 1 + 16);
      const sizes = chunks
        .slice(0, -1)
        .map((chunk) => chunk.length - varintSize(chunk[0] ?? 0) - 16);
      assert.ok(sizes.slice(0, -1).every((size) => size === 16_384));
      const total = sizes.reduce((sum, size) => sum + size, 0);
      assert.ok(total > LARGE.length && total === paddedLength(total), String(total));
    }
  });

  it('give the response when its head is there, and its content as it comes', async () => {
    let more: (piece: Bytes | undefined) => void = unset;
    const body = new ReadableStream<Bytes>({
      start: (controller) => {
        more = (piece) => (piece === undefined ? controller.close() : controller.enqueue(piece));
      },
    });
    const { fetch } = await chunkedSetup({ app: () => new Response(body) });
    more(LARGE.slice(0, 20_000));
    const response = await fetch(requestOf({}), { chunked: true });
    const pieces = piecesOf(response.body);
    const first = await pieces.next();
    assert.ok(first.value?.length);
    more(LARGE.slice(20_000));
    more(undefined);
    let length = first.value.length;
    for await (const piece of pieces) length += piece.length;
    assert.equal(length, LARGE.length);
  });

  it('let the application read while the client still sends', async () => {
    let release: () => void = unset;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const app = async (request: Request) => {
      const body = piecesOf(request.body);
      await body.next();
      release();
      let length = 0;
      for await (const piece of body) length += piece.length;
      return new Response(String(length > 0));
    };
    async function* content(): AsyncGenerator<Bytes> {
      yield LARGE.slice(0, 200_000);
      await held;
      yield LARGE.slice(200_000);
    }
    const { fetch } = await chunkedSetup({ app });
    assert.equal(await (await fetch(requestOf(), { content: content() })).text(), 'true');
  });

  it('answer a request that nobody reads to its end', async () => {
    const { fetch } = await chunkedSetup({ app: () => new Response('no', { status: 403 }) });
    const response = await fetch(requestOf(), { content: inPieces(LARGE) });
    assert.equal(response.status, 403);
    assert.equal(await response.text(), 'no');
  });

  it('break off where the application does, so that nobody takes a part for all', async () => {
    const errors: unknown[] = [];
    const secret = new Error('CANARY');
    let asked = 0;
    const body = new ReadableStream<Bytes>({
      pull: (controller) =>
        asked++ < 3 ? controller.enqueue(LARGE.slice(0, 30_000)) : controller.error(secret),
    });
    const { fetch } = await chunkedSetup({
      app: () => new Response(body),
      gateway: { onError: (error) => void errors.push(error) },
    });
    const response = await fetch(requestOf({}), { chunked: true });
    await assert.rejects(response.bytes(), { code: 'transport_failed' });
    assert.deepEqual(errors, [secret]);
  });

  it('answer a bare 500 where the application throws, or gives what cannot be written', async () => {
    for (const app of [
      () => Promise.reject(new Error('CANARY')),
      () => Object.defineProperty(new Response('x'), 'status', { value: 700 }),
    ]) {
      const errors: unknown[] = [];
      const gateway = { onError: (error: unknown) => void errors.push(error) };
      const { fetch } = await chunkedSetup({ app, gateway });
      const response = await fetch(requestOf({}), { chunked: true });
      assert.equal(response.status, 500);
      assert.doesNotMatch(await response.text(), /CANARY/);
      assert.equal(errors.length, 1);
    }
  });

  it('tell the application when the client goes', async () => {
    let cancelled = false;
    let signal: AbortSignal | undefined;
    const body = new ReadableStream<Bytes>({
      pull: (controller) => controller.enqueue(LARGE.slice(0, 20_000)),
      cancel: () => {
        cancelled = true;
      },
    });
    const app = (request: Request) => {
      ({ signal } = request);
      return new Response(body);
    };
    const { fetch } = await chunkedSetup({ app });
    const response = await fetch(requestOf({}), { chunked: true });
    const reader = response.body?.getReader() ?? assert.fail();
    await reader.read();
    await reader.cancel();
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(cancelled);
    assert.ok(signal?.aborted);
  });

  it('bound answers, except event streams', async () => {
    const channel = { maxAnswerBytes: 100_000 };
    const { fetch } = await chunkedSetup({ app: () => new Response(LARGE), channel });
    const response = await fetch(requestOf({}), { chunked: true });
    await assert.rejects(response.bytes(), { code: 'answer_too_large' });
  });
});

describe('a request in chunks whose key or clock is refused', () => {
  it('is sent again where its content is at hand', async () => {
    const fresh = await createChannelKeys({ kem: 'x25519', keyId: 6 });
    const { fetch, calls } = await chunkedSetup({
      app: echo,
      gateway: { keys: () => [fresh] },
      channel: {
        now: () => new Date(NOW - 3_600_000),
        onStaleKey: () => Promise.resolve(peerWith(encodeKeyConfigs(fresh))),
      },
    });
    const call = { content: LARGE, chunked: true, repeatable: true };
    const response = await fetch(requestOf(), call);
    assert.ok(equalBytes(await response.bytes(), LARGE));
    assert.equal(calls.length, 3);
  });

  it('fails where its content was a stream, and the next one does not', async () => {
    const fresh = await createChannelKeys({ kem: 'x25519', keyId: 6 });
    const { fetch } = await chunkedSetup({
      app: echo,
      gateway: { keys: () => [fresh] },
      channel: {
        now: () => new Date(NOW - 3_600_000),
        onStaleKey: () => Promise.resolve(peerWith(encodeKeyConfigs(fresh))),
      },
    });
    const send = () => fetch(requestOf(), { content: inPieces(LARGE) });
    await assert.rejects(send(), { code: 'stale_key' });
    await assert.rejects(send(), { code: 'clock_refused' });
    assert.equal((await send()).status, 201);
  });

  it('is not taken for refused where the application answers with a problem', async () => {
    for (const type of ['about:blank', 'https://iana.org/assignments/http-problem-types#date']) {
      const app = () => problemResponse(400, type, 'x'.repeat(type === 'about:blank' ? 20_000 : 1));
      const { fetch } = await chunkedSetup({ app });
      const sent = fetch(requestOf({}), { chunked: true });
      if (type === 'about:blank') assert.match(await (await sent).text(), /about:blank/);
      else await assert.rejects(sent, { code: 'clock_refused' });
    }
  });
});

describe('a client of chunks', () => {
  for (const [what, instead] of [
    ['a gateway that does not know them', () => problemResponse(415, 'about:blank', 'no')],
    [
      'an answer that is sealed as one',
      () => new Response('x', { headers: { 'content-type': 'message/ohttp-res' } }),
    ],
    ['a plain answer', () => Response.json({ ok: true })],
  ] as const)
    it(`never falls back: ${what}`, async () => {
      const { fetch, calls } = await chunkedSetup({ app: echo, instead });
      const sent = fetch(requestOf(), { content: LARGE, chunked: true });
      await assert.rejects(sent, { code: 'not_encapsulated' });
      assert.equal(calls.length, 1);
    });

  it('takes no answer in chunks where it asked for a whole one', async () => {
    const headers = { 'content-type': 'message/ohttp-chunked-res' };
    const { fetch } = await chunkedSetup({
      app: echo,
      instead: () => new Response('x', { headers }),
    });
    await assert.rejects(fetch(post('x')), { code: 'not_encapsulated' });
  });
});

describe('a gateway of chunks', () => {
  it('answers what it cannot open as it does for whole requests, byte for byte', async () => {
    const { gateway } = await setup({ kem: 'x25519' });
    const refusals = await Promise.all(
      ['message/ohttp-req', 'message/ohttp-chunked-req'].map(async (type) => {
        const response = await gateway.handle(outerPost(random(100), { 'content-type': type }));
        return JSON.stringify([response.status, [...response.headers], await response.text()]);
      }),
    );
    assert.equal(refusals[0], refusals[1]);
    assert.ok(refusals[0]?.includes(KEY_PROBLEM));
  });

  it('opens no whole request as chunks, nor chunks as a whole request', async () => {
    const { fetch, gateway, sent } = await chunkedSetup({ app: echo });
    await (await fetch(post('x'))).bytes();
    await (await fetch(post('x'), { chunked: true })).bytes();
    for (const [i, type] of ['message/ohttp-chunked-req', 'message/ohttp-req'].entries()) {
      const body = await bytesOf(sent[i]);
      const response = await gateway.handle(outerPost(body, { 'content-type': type }));
      assert.equal(response.status, 400);
    }
  });
});
