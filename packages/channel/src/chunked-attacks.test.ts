// What somebody between the two halves does with the chunks of a request or an answer.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Bytes, concatBytes, equalBytes } from '@cloister/bytes';
import { NOW, outerPost, post, random } from './channel-setup.test.ts';
import {
  ATTACKS,
  changed,
  type Chunked,
  chunkedSetup,
  collect,
  flip,
  requestOf,
  REQUEST_START,
  RESPONSE_START,
  type Sealed,
} from './chunked-setup.test.ts';
import { decodeMessage } from './binary-http/decode-message.ts';
import { encodeHead } from './binary-http/encode-message.ts';
import { encodeStream } from './binary-http/encode-stream.ts';
import type { Field } from './binary-http/message.ts';
import { createSuites } from './ohttp/channel-keys.ts';
import { groupPieces, openChunks, sealChunks } from './ohttp/chunks.ts';
import { type RequestSender, setupRequest } from './ohttp/request-encryption.ts';
import { createResponseOpener } from './ohttp/response-encryption.ts';
import { createReplayMemory } from './replay-memory.ts';
import { lendBody } from './wire/lent-body.ts';
import { StreamReader } from './wire/stream-reader.ts';

const LARGE = random(200_000);
const OUTER = 'https://host.example/.well-known/ohttp-gateway';

/** An application with an effect: it may come only after the whole content was read. */
function counting() {
  const seen = { asked: 0, complete: 0, partly: 0 };
  const app = async (request: Request) => {
    seen.asked++;
    try {
      await request.arrayBuffer();
    } catch (error) {
      seen.partly++;
      throw error;
    }
    seen.complete++;
    return new Response('done');
  };
  return { seen, app };
}

describe('an answer in chunks', () => {
  for (const [name, attack] of Object.entries(ATTACKS))
    it(`never ends normally with ${name}`, async () => {
      let kept: Sealed | undefined;
      const { fetch } = await chunkedSetup({
        app: () => new Response(LARGE),
        onResponse: changed(RESPONSE_START, (sealed, n) => {
          if (n > 0) return attack(sealed, kept ?? assert.fail());
          kept = sealed;
          return [sealed.start, ...sealed.chunks];
        }),
      });
      assert.ok(equalBytes(await (await fetch(requestOf({}), { chunked: true })).bytes(), LARGE));
      const codes = ['answer_truncated', 'open_failed'];
      await assert.rejects(
        async () => (await fetch(requestOf({}), { chunked: true })).bytes(),
        (error: Error & { code?: string }) =>
          error.name === 'ChannelError' && codes.includes(error.code ?? ''),
      );
    });

  it('that is truncated says so', async () => {
    for (const cut of [0, 31, 32, 33, 40, 16_384 + 50, -1, -17, -18]) {
      const { fetch } = await chunkedSetup({
        app: () => new Response(LARGE),
        onResponse: changed(RESPONSE_START, ({ start, chunks }) => [
          concatBytes(start, ...chunks).slice(0, cut),
        ]),
      });
      const code = cut === -1 ? 'open_failed' : 'answer_truncated';
      await assert.rejects(
        async () => (await fetch(requestOf({}), { chunked: true })).bytes(),
        { name: 'ChannelError', code },
        String(cut),
      );
    }
  });

  it('of another exchange is refused', async () => {
    let kept: readonly Bytes[] | undefined;
    const { fetch } = await chunkedSetup({
      app: () => new Response('same'),
      onResponse: changed(RESPONSE_START, ({ start, chunks }) => {
        const answer = kept ?? [start, ...chunks];
        kept = answer;
        return answer;
      }),
    });
    await (await fetch(requestOf({}), { chunked: true })).bytes();
    await assert.rejects(fetch(requestOf({}), { chunked: true }), { code: 'open_failed' });
  });

  it('with another nonce, or no message inside, is refused', async () => {
    const { fetch } = await chunkedSetup({
      app: () => new Response('x'),
      onResponse: changed(RESPONSE_START, ({ start, chunks }) => [flip(start, 3), ...chunks]),
    });
    await assert.rejects(fetch(requestOf({}), { chunked: true }), { code: 'open_failed' });
  });
});

describe('a request in chunks', () => {
  for (const [name, attack] of Object.entries(ATTACKS))
    it(`has no effect with ${name}`, async () => {
      const { seen, app } = counting();
      let kept: Sealed | undefined;
      const { fetch, answers } = await chunkedSetup({
        app,
        onRequest: changed(REQUEST_START, (sealed, n) => {
          if (n > 0) return attack(sealed, kept ?? assert.fail());
          kept = sealed;
          return [sealed.start, ...sealed.chunks];
        }),
      });
      const send = () => fetch(requestOf(), { content: LARGE, chunked: true });
      assert.equal(await (await send()).text(), 'done');
      const response = await send();
      assert.equal(response.status, 400);
      assert.match(await response.text(), /urn:cloister:malformed_request/);
      assert.equal(answers.at(-1)?.status, 200);
      assert.equal(seen.complete, 1);
      assert.equal(seen.partly, seen.asked - 1);
    });

  it('whose first chunk is not its own is refused outside, like any that cannot be opened', async () => {
    const { seen, app } = counting();
    for (const attack of [
      ({ start }: Sealed) => [start],
      ({ start, chunks }: Sealed) => [start, ...chunks.slice(1)],
      ({ start, chunks }: Sealed) => [start, ...chunks.map((chunk) => flip(chunk, 100))],
      ({ start, chunks }: Sealed) => [flip(start, 20), ...chunks],
      ({ start, chunks }: Sealed) => [start.slice(0, 30), ...chunks],
      ({ start }: Sealed) => [start, new Uint8Array(8).fill(0xff), new Uint8Array(50)],
    ]) {
      const { fetch, answers } = await chunkedSetup({
        app,
        onRequest: changed(REQUEST_START, attack),
      });
      const sent = fetch(requestOf(), { content: LARGE, chunked: true });
      await assert.rejects(sent, { code: 'stale_key' });
      assert.equal(answers[0]?.status, 400);
    }
    assert.equal(seen.asked, 0);
  });

  it('of any method and length is not shown to the application before it is complete, if short', async () => {
    const { seen, app } = counting();
    for (const content of [new Uint8Array(), random(100), random(50_000)]) {
      const { fetch } = await chunkedSetup({
        app,
        onRequest: changed(REQUEST_START, ({ start, chunks }) => [start, ...chunks.slice(0, -1)]),
      });
      const response = await fetch(requestOf(), { content, chunked: true });
      assert.equal(response.status, 400);
    }
    assert.equal(seen.asked, 0);
  });

  it('is refused when it comes again, also beside a whole one, also in part', async () => {
    const { seen, app } = counting();
    const replay = createReplayMemory({ now: () => new Date(NOW) });
    const { fetch, gateway, sent } = await chunkedSetup({ app, gateway: { replay } });
    await (await fetch(requestOf(), { content: LARGE, chunked: true })).text();
    const bytes = await collect(
      (async function* () {
        yield* sent[0] ?? [];
      })(),
    );
    const headers = { 'content-type': 'message/ohttp-chunked-req' };
    for (const again of [bytes, bytes.slice(0, -1)])
      assert.equal((await gateway.handle(outerPost(again, headers))).status, 200);
    assert.equal(seen.complete, 1);
    assert.equal(seen.asked, 1);
    const refuses = { remember: () => false };
    for (const chunked of [true, false]) {
      const other = await chunkedSetup({ app, gateway: { replay: refuses } });
      assert.equal((await other.fetch(post('x'), { chunked })).status, 409);
    }
  });

  it('comes byte by byte, from a slow sender', async () => {
    const { seen, app } = counting();
    const { fetch } = await chunkedSetup({
      app,
      onRequest: changed(REQUEST_START, ({ start, chunks }) => [start, ...chunks], 1),
    });
    const response = await fetch(requestOf(), { content: random(20_000), chunked: true });
    assert.equal(await response.text(), 'done');
    assert.equal(seen.complete, 1);
  });

  it('that stops has no effect, and ends when its connection does', async () => {
    const { seen, app } = counting();
    const faults: unknown[] = [];
    const connection: { cut?: () => void } = {};
    const { fetch, sent } = await chunkedSetup({
      app,
      gateway: { onError: (error) => void faults.push(error) },
      onRequest: async function* (passing) {
        const bytes = await collect(passing);
        yield bytes.slice(0, 100_000);
        await new Promise<void>((_, reject) => {
          connection.cut = () => reject(new Error('connection reset'));
        });
      },
    });
    const response = fetch(requestOf(), { content: LARGE, chunked: true });
    response.catch(() => undefined);
    while (connection.cut === undefined) await new Promise((resolve) => setImmediate(resolve));
    connection.cut();
    assert.equal((await response).status, 400);
    assert.deepEqual(seen, { asked: 1, complete: 0, partly: 1 });
    assert.equal(sent.length, 1);
    assert.deepEqual(faults, []);
  });

  it('that is too long is refused, announced or not', async () => {
    const { seen, app } = counting();
    const { fetch, gateway } = await chunkedSetup({ app, gateway: { maxChunkedBytes: 150_000 } });
    const headers = { 'content-type': 'message/ohttp-chunked-req', 'content-length': '150001' };
    assert.equal((await gateway.handle(outerPost(random(10), headers))).status, 413);
    const response = await fetch(requestOf(), { content: LARGE, chunked: true });
    assert.equal(response.status, 413);
    assert.equal(seen.complete, 0);
    const small = await fetch(requestOf(), { content: LARGE.slice(0, 100_000), chunked: true });
    assert.equal(small.status, 200);
  });
});

const date: Field = ['date', new Date(NOW).toUTCString()];

async function senderTo({ keys }: Chunked): Promise<RequestSender> {
  const hpke = createSuites('x25519').get('aes-256-gcm') ?? assert.fail();
  const publicKey = await hpke.deserializePublicKey(keys.config.publicKey);
  return setupRequest({ keyId: 5, hpke, publicKey, config: keys.config.bytes }, 'chunked');
}

/** What the gateway answers inside to a message of one's own making. */
async function sendRaw(to: Chunked, message: AsyncIterable<Bytes>) {
  const sending = await senderTo(to);
  const { start, context } = sending;
  const headers = { 'content-type': 'message/ohttp-chunked-req' };
  const request = new Request(OUTER, { method: 'POST', headers });
  const body = sealChunks(groupPieces(message), (p, aad) => context.sealPieces(p, aad));
  lendBody(request, [start, await collect(body)] as unknown as AsyncIterable<Bytes>);
  const response = await to.gateway.handle(request);
  assert.equal(response.status, 200);
  const reader = new StreamReader(
    (async function* () {
      yield await response.bytes();
    })(),
    'answer',
  );
  const open = await createResponseOpener(sending, await reader.bytes(32));
  const { message: answer } = decodeMessage([await collect(openChunks(reader, open))]);
  assert.ok(answer.kind === 'response');
  return { status: answer.status, text: new TextDecoder().decode(answer.content), answer };
}

const head = (more: readonly Field[] = [date], method = 'POST', path = '/x') => ({
  kind: 'request' as const,
  method,
  scheme: 'https',
  authority: 'records',
  path,
  headers: more,
});
const message = (size: number, ...rest: Parameters<typeof head>) =>
  encodeStream(
    head(...rest),
    (async function* () {
      for (let left = size; left > 0; left -= 10_000) yield new Uint8Array(Math.min(left, 10_000));
    })(),
    (n) => n,
  );
const announcing = (n: number): readonly Field[] => [date, ['content-length', String(n)]];
async function* each(...pieces: readonly Bytes[]): AsyncGenerator<Bytes> {
  yield* pieces;
}

describe('a message in good chunks', () => {
  it('is refused inside where its Date is missing or far off', async () => {
    const { seen, app } = counting();
    const to = await chunkedSetup({ app });
    for (const headers of [
      [],
      [date, date],
      [['date', new Date(NOW - 301_000).toUTCString()]],
    ] as const) {
      const { status, text, answer } = await sendRaw(to, message(100_000, headers));
      assert.equal(status, 400);
      assert.match(text, /#date/);
      assert.deepEqual(
        answer.headers.find(([name]) => name === 'date'),
        date,
      );
    }
    assert.equal(seen.asked, 0);
  });

  it('is refused inside where it is no request that a URL could make', async () => {
    const { seen, app } = counting();
    const to = await chunkedSetup({ app });
    for (const size of [10, 100_000]) {
      for (const bad of [
        message(size, [date], 'POST', '/a/../b'),
        message(size, [date], 'GET'),
        message(size, [date, ['transfer-encoding', 'chunked']]),
        message(size, [date, ['content-length', 'x']]),
        message(size, [date, ['content-length', '5'], ['content-length', '5']]),
        each(encodeHead({ kind: 'response', informational: [], status: 200, headers: [] })),
        each(new Uint8Array()),
        each(new TextEncoder().encode('GET / HTTP/1.1')),
      ])
        assert.equal((await sendRaw(to, bad)).status, 400);
    }
    assert.equal(seen.complete, 0);
  });

  it('is refused where its content is not as long as it says, or has trailers or bad padding', async () => {
    const { seen, app } = counting();
    const to = await chunkedSetup({ app });
    for (const size of [10, 100_000]) {
      assert.equal((await sendRaw(to, message(size, announcing(size)))).text, 'done');
      for (const n of [0, size - 1, size + 1])
        assert.equal((await sendRaw(to, message(size, announcing(n)))).status, 400, `${size} ${n}`);
      const bytes = await collect(message(size));
      const trailers = concatBytes(bytes.slice(0, -1), Uint8Array.of(1, 0x61, 1, 0x62, 0));
      assert.equal((await sendRaw(to, each(trailers))).status, 400);
      assert.equal(
        (await sendRaw(to, each(bytes, new Uint8Array(9), Uint8Array.of(1)))).status,
        400,
      );
      assert.equal((await sendRaw(to, each(bytes, new Uint8Array(9)))).status, 200);
    }
    assert.equal(seen.complete, 4);
  });
});
