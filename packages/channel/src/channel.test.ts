import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { VerifiedPeer } from '@cloister/attestation';
import { type Bytes, equalBytes } from '@cloister/bytes';
import { createChannel } from './channel.ts';
import { echo, NOW, peerWith, post, random, setup, URL_OF_GATEWAY } from './channel-setup.test.ts';
import { createChannelKeys, encodeKeyConfigs } from './ohttp/channel-keys.ts';
import { KEY_PROBLEM, problemResponse } from './problem.ts';

const changeBody = (edit: (body: Bytes) => Bytes) => async (response: Response) => {
  const body = new Uint8Array(await response.arrayBuffer());
  return new Response(edit(body), { headers: response.headers });
};
const flip = (at: number) => (body: Bytes) => {
  const index = at < 0 ? body.length + at : at;
  body[index] = (body[index] ?? 0) ^ 1;
  return body;
};

describe('channel', () => {
  it('takes a verified peer only', async () => {
    const { keys } = await setup({ kem: 'x25519' });
    const forged = { ...peerWith(encodeKeyConfigs(keys)) } as VerifiedPeer;
    const options = { url: URL_OF_GATEWAY, transport: echo, now: () => new Date(NOW), random };
    assert.throws(() => createChannel({ ...options, peer: forged }), { code: 'peer_changed' });
  });

  it('uses only the KEMs that it was told, X-Wing unless told', async () => {
    const keys = await createChannelKeys({ kem: 'x25519', keyId: 1 });
    const peer = peerWith(encodeKeyConfigs(keys));
    let sent = 0;
    const transport = (): Promise<Response> => (sent++, Promise.resolve(new Response()));
    const options = { peer, url: URL_OF_GATEWAY, transport, now: () => new Date(NOW), random };
    await assert.rejects(createChannel(options)(post('x')), { code: 'no_suite' });
    const kems = ['x-wing', 'p-256'] as const;
    await assert.rejects(createChannel({ ...options, kems })(post('x')), { code: 'no_suite' });
    assert.equal(sent, 0);
  });

  for (const [what, answer] of [
    ['200 with JSON', () => Response.json({ ok: true })],
    ['200 without a type', () => new Response('x')],
    ['a redirect', () => new Response(null, { status: 302, headers: { location: '/' } })],
    ['an error page', () => new Response('<html>', { status: 502 })],
    ['another problem', () => problemResponse(400, 'about:blank', 'no')],
    [
      'a broken problem',
      () =>
        new Response('{', { status: 400, headers: { 'content-type': 'application/problem+json' } }),
    ],
    [
      'the right type with the wrong status',
      () => new Response('x', { status: 404, headers: { 'content-type': 'message/ohttp-res' } }),
    ],
  ] as const) {
    it(`never shows an answer that is not encapsulated: ${what}`, async () => {
      const { fetch } = await setup({ tamper: answer });
      await assert.rejects(fetch(post('x')), { name: 'ChannelError', code: 'not_encapsulated' });
    });
  }

  it('refuses every answer that is not this answer: prefixes, flipped bits, another response', async () => {
    let kept: Bytes | undefined;
    const edits: ((body: Bytes) => Bytes)[] = [
      (body) => body.slice(0, 0),
      (body) => body.slice(0, 31),
      (body) => body.slice(0, 32),
      (body) => body.slice(0, -1),
      (body) => new Uint8Array([...body, 0]),
      flip(0),
      flip(31),
      flip(32),
      flip(-1),
      (body) => {
        const other = kept ?? body;
        kept = body;
        return other;
      },
    ];
    for (const edit of edits) {
      // oxlint-disable-next-line no-await-in-loop -- each with a channel of its own
      const { fetch } = await setup({ kem: 'x25519', tamper: changeBody(edit) });
      // The last edit gives the first answer to the second request.
      // oxlint-disable-next-line no-await-in-loop -- as above
      if (edit === edits.at(-1)) await fetch(post('first'));
      // oxlint-disable-next-line no-await-in-loop -- as above
      await assert.rejects(fetch(post('second')), { code: 'open_failed' });
    }
  });

  it('refuses an answer that is too large, and one that breaks off', async () => {
    const large = await setup({ channel: { maxAnswerBytes: 4000 } });
    await assert.rejects(large.fetch(post('x')), { code: 'answer_too_large' });
    const broken = await setup({
      tamper: ({ headers }) => {
        const body = new ReadableStream({
          pull: (controller) => controller.error(new Error('cut')),
        });
        return new Response(body, { headers });
      },
    });
    await assert.rejects(broken.fetch(post('x')), { code: 'transport_failed' });
  });

  it('reports a transport that fails, and a call that was given up', async () => {
    const failing = await setup({
      channel: { transport: () => Promise.reject(new TypeError('down')) },
    });
    await assert.rejects(failing.fetch(post('x')), { code: 'transport_failed' });
    const abort = new AbortController();
    const hanging = await setup({
      channel: {
        transport: () => {
          abort.abort(new Error('given up'));
          return Promise.reject(new TypeError('aborted'));
        },
      },
    });
    const request = new Request('https://x/', { signal: abort.signal });
    await assert.rejects(hanging.fetch(request), { message: 'given up' });
  });

  it('verifies again once when its key is stale, for all calls in parallel, and keeps the result', async () => {
    const fresh = await createChannelKeys({ kem: 'x25519', keyId: 6 });
    let verifications = 0;
    const { fetch, contexts } = await setup({
      kem: 'x25519',
      gateway: { keys: () => [fresh] },
      channel: {
        onStaleKey: () => {
          verifications++;
          return Promise.resolve(peerWith(encodeKeyConfigs(fresh)));
        },
      },
    });
    const responses = await Promise.all(
      ['a', 'b', 'c'].map((text) => fetch(post(text), { repeatable: true })),
    );
    assert.deepEqual(await Promise.all(responses.map((one) => one.text())), ['a', 'b', 'c']);
    assert.equal((await fetch(post('d'))).status, 201);
    assert.equal(verifications, 1);
    assert.equal(contexts.length, 4);
  });

  it('sends the same content again under a new encapsulation, never the same bytes', async () => {
    let refusals = 0;
    const { fetch, outer, keys } = await setup({
      channel: { onStaleKey: () => Promise.resolve(peerWith(encodeKeyConfigs(keys))) },
      tamper: (response) =>
        refusals++ === 0 ? problemResponse(422, KEY_PROBLEM, 'stale') : response,
    });
    assert.equal(await (await fetch(post('again'), { repeatable: true })).text(), 'again');
    const [first = assert.fail(), second = assert.fail()] = outer;
    assert.ok(!equalBytes(first.request.slice(7, 1127), second.request.slice(7, 1127)));
  });

  it('does not send again what might be done twice: nobody signs that a key is stale', async () => {
    let refusals = 0;
    const { fetch, contexts, keys } = await setup({
      channel: { onStaleKey: () => Promise.resolve(peerWith(encodeKeyConfigs(keys))) },
      tamper: (response) =>
        refusals++ === 0 ? problemResponse(422, KEY_PROBLEM, 'stale') : response,
    });
    await assert.rejects(fetch(post('once')), { code: 'stale_key' });
    assert.equal(contexts.length, 1, 'it was done, and the host said that it was not');
    assert.equal(await (await fetch(post('next'))).text(), 'next');
    refusals = 0;
    assert.equal((await fetch(new Request('https://x/'))).status, 201);
    assert.equal(contexts.length, 4, 'a read is asked again');
  });

  it('gives up where the key is refused again, or nobody can verify again', async () => {
    let verifications = 0;
    const { fetch, keys } = await setup({ gateway: { keys: () => [] } });
    await assert.rejects(fetch(post('x')), { code: 'stale_key' });
    const again = await setup({
      gateway: { keys: () => [] },
      channel: {
        onStaleKey: () => {
          verifications++;
          return Promise.resolve(peerWith(encodeKeyConfigs(keys)));
        },
      },
    });
    await assert.rejects(again.fetch(post('x')), { code: 'stale_key' });
    assert.equal(verifications, 1);
  });

  it('refuses a new peer that is another service, or not verified', async () => {
    for (const change of [
      (peer: VerifiedPeer) => ({ ...peer }) as VerifiedPeer,
      ({ ohttp }: VerifiedPeer) => peerWith(ohttp ?? assert.fail(), 'inference'),
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- two cases
      const keys = await createChannelKeys({ kem: 'x-wing', keyId: 9 });
      const peer = change(peerWith(encodeKeyConfigs(keys)));
      // oxlint-disable-next-line no-await-in-loop -- as above
      const { fetch } = await setup({
        gateway: { keys: () => [keys] },
        channel: { onStaleKey: () => Promise.resolve(peer) },
      });
      // oxlint-disable-next-line no-await-in-loop -- as above
      await assert.rejects(fetch(post('x')), { code: 'peer_changed' });
    }
  });

  it('learns the time from the gateway where its own clock is wrong', async () => {
    const { fetch, outer, contexts } = await setup({
      channel: { now: () => new Date(NOW - 3_600_000) },
    });
    assert.equal(await (await fetch(post('late'))).text(), 'late');
    assert.equal(outer.length, 2);
    assert.equal(await (await fetch(post('later'))).text(), 'later');
    assert.equal(outer.length, 3);
    assert.equal(contexts.length, 2);
  });

  it('gives up where the corrected clock is refused as well', async () => {
    let time = NOW;
    const { fetch, contexts } = await setup({
      gateway: { now: () => new Date((time += 3_600_000)) },
    });
    await assert.rejects(fetch(post('x')), { code: 'clock_refused' });
    assert.equal(contexts.length, 0);
  });
});
