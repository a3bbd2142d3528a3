import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Bytes, encodeUtf8 } from '@cloister/bytes';
import { encodeMessage } from './binary-http/encode-message.ts';
import {
  dateField,
  NOW,
  outerPost,
  post,
  random,
  rawRequest,
  sendRaw,
  setup,
  URL_OF_GATEWAY,
} from './channel-setup.test.ts';
import { KEY_PROBLEM } from './problem.ts';

describe('gateway', () => {
  it('gives one and the same answer to everything that it cannot open', async () => {
    const { fetch, outer, gateway } = await setup({ kem: 'x25519' });
    await fetch(post('x'));
    const good = (outer[0] ?? assert.fail()).request;
    const flip = (at: number) => {
      const bytes = good.slice();
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      return bytes;
    };
    const zeroKey = good.slice();
    zeroKey.fill(0, 7, 39);
    const bad = [
      new Uint8Array(),
      good.slice(0, 6),
      good.slice(0, 20),
      good.slice(0, 39),
      good.slice(0, -1),
      new Uint8Array([...good, 0]),
      ...[0, 1, 2, 3, 4, 5, 6, 7, 38, 39, good.length - 1].map(flip),
      zeroKey,
      random(good.length),
    ];
    const answers = await Promise.all(
      bad.map(async (body) => {
        const response = await gateway.handle(outerPost(body));
        const text = await response.text();
        return `${response.status} ${JSON.stringify([...response.headers])} ${text}`;
      }),
    );
    assert.equal(new Set(answers).size, 1, [...new Set(answers)].join('\n'));
    assert.match(answers[0] ?? '', /^400 .*problem\+json.*no-store|no-store.*problem\+json/);
    assert.ok(answers[0]?.includes(KEY_PROBLEM));
  });

  it('takes POST of message/ohttp-req only', async () => {
    const { gateway } = await setup();
    const get = await gateway.handle(new Request(URL_OF_GATEWAY));
    assert.equal(get.status, 405);
    const text = await gateway.handle(
      outerPost(new Uint8Array(9), { 'content-type': 'text/plain' }),
    );
    assert.equal(text.status, 415);
  });

  it('refuses bodies that are too large, announced or not', async () => {
    const { gateway } = await setup({ gateway: { maxRequestBytes: 1000 } });
    const announced = await gateway.handle(
      outerPost(new Uint8Array(10), { 'content-length': '5000' }),
    );
    assert.equal(announced.status, 413);
    assert.equal((await gateway.handle(outerPost(new Uint8Array(1001)))).status, 413);
    assert.equal((await gateway.handle(outerPost(new Uint8Array(1000)))).status, 400);
  });

  it('refuses an encapsulation that came before, also within one moment', async () => {
    const { fetch, outer, gateway, contexts } = await setup();
    await fetch(post('x'));
    const { request } = outer[0] ?? assert.fail();
    await Promise.all([1, 2, 3].map(() => gateway.handle(outerPost(request))));
    assert.equal(contexts.length, 1);
  });

  it('says so inside', async () => {
    const replay = { remember: () => false };
    const { fetch, contexts, outer } = await setup({ gateway: { replay } });
    const response = await fetch(post('x'));
    assert.equal(response.status, 409);
    assert.match(await response.text(), /urn:cloister:replayed/);
    assert.equal(outer[0]?.response.status, 200);
    assert.equal(contexts.length, 0);
  });

  it('remembers an encapsulation for as long as its Date lets it in', async () => {
    const seen: Date[] = [];
    const replay = { remember: (_: Bytes, until: Date) => (seen.push(until), true) };
    const { fetch } = await setup({ gateway: { replay } });
    await fetch(post('x'));
    assert.deepEqual(seen, [new Date(NOW + 300_000)]);
  });

  for (const [what, headers] of [
    ['no Date', []],
    ['two Dates', [dateField(0), dateField(0)]],
    ['a Date in another form', [['date', new Date(NOW).toISOString()]]],
    ['no date at all in Date', [['date', 'yesterday']]],
    ['a Date 301 seconds ago', [dateField(-301_000)]],
    ['a Date 301 seconds ahead', [dateField(301_000)]],
  ] as const) {
    it(`refuses ${what} inside, with its own Date`, async () => {
      const all = await setup();
      const { outside, message, text } = await sendRaw(all, rawRequest(headers));
      assert.equal(outside.status, 200);
      assert.equal(message.status, 400);
      assert.match(text, /http-problem-types#date/);
      assert.deepEqual(
        message.headers.find(([name]) => name === 'date'),
        dateField(0),
      );
      assert.equal(all.contexts.length, 0);
    });
  }

  it('takes a Date at either end of the window', async () => {
    const all = await setup();
    for (const offset of [-300_000, 300_000]) {
      // oxlint-disable-next-line no-await-in-loop -- two cases
      const { message } = await sendRaw(all, rawRequest([dateField(offset)]));
      assert.equal(message.status, 201);
    }
  });

  for (const path of ['x', '//evil.example/x', '/a/../b', '/a#b', '/a b', '/\\b', '']) {
    it(`refuses the path ${JSON.stringify(path)}, inside`, async () => {
      const all = await setup();
      const { outside, message } = await sendRaw(all, rawRequest([dateField(0)], path));
      assert.equal(outside.status, 200);
      assert.equal(message.status, path === '//evil.example/x' ? 201 : 400);
      // Two slashes are a path like any other: the authority stays what it was.
      for (const _ of all.contexts) assert.equal(path, '//evil.example/x');
    });
  }

  it('refuses inner messages that are no request, inside', async () => {
    const all = await setup();
    const response = encodeMessage({
      kind: 'response',
      informational: [],
      status: 200,
      headers: [],
      content: new Uint8Array(),
      trailers: [],
    });
    const connection = rawRequest([dateField(0), ['transfer-encoding', 'chunked']]);
    for (const plaintext of [
      response,
      connection,
      encodeUtf8('GET / HTTP/1.1'),
      new Uint8Array(),
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- four cases
      const { outside, message, text } = await sendRaw(all, plaintext);
      assert.equal(outside.status, 200);
      assert.equal(message.status, 400);
      assert.match(text, /urn:cloister:malformed_request/);
    }
    assert.equal(all.contexts.length, 0);
  });
});
