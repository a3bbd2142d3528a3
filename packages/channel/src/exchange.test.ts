import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeHex, equalBytes } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import { post, random, setup } from './channel-setup.test.ts';

describe('channel and gateway', () => {
  for (const kem of ['x-wing', 'x25519', 'p-256'] as const) {
    it(`carry a request and its response, ${kem}`, async () => {
      const { fetch, contexts, outer } = await setup({ kem });
      const response = await fetch(post('hello'));
      assert.equal(response.status, 201);
      assert.equal(await response.text(), 'hello');
      assert.equal(response.headers.get('x-method'), 'POST');
      assert.equal(response.headers.get('x-url'), 'https://records/fhir/Patient?name=a%20b');
      assert.equal(response.headers.get('x-header'), 'value');
      assert.equal(contexts.length, 1);
      const [{ response: outside } = assert.fail()] = outer;
      assert.equal(outside.status, 200);
      assert.equal(outside.headers.get('content-type'), 'message/ohttp-res');
      assert.equal(outside.headers.get('cache-control'), 'no-store');
    });
  }

  it('show the application SHA-256(enc) and SHA-256(enc ‖ key_config)', async () => {
    const { fetch, contexts, outer, keys } = await setup({ kem: 'x25519' });
    await fetch(post('x'));
    const enc = (outer[0] ?? assert.fail()).request.slice(7, 39);
    const [{ encapsulation, binding } = assert.fail()] = contexts;
    assert.equal(encodeHex(encapsulation), encodeHex(await sha256(enc)));
    const both = new Uint8Array([...enc, ...keys.config.bytes]);
    assert.equal(encodeHex(binding), encodeHex(await sha256(both)));
  });

  it('hide lengths in both directions', async () => {
    const sizes = [0, 1, 1000, 3000, 5000, 70_000];
    const { fetch, outer } = await setup();
    for (const size of sizes) {
      // oxlint-disable-next-line no-await-in-loop -- in order, to be compared below
      const response = await fetch(post(new Uint8Array(size)));
      // oxlint-disable-next-line no-await-in-loop -- as above
      assert.equal((await response.arrayBuffer()).byteLength, size);
    }
    const lengths = await Promise.all(
      outer.map(async ({ request, response }) => [
        request.length - 7 - 1120 - 16,
        (await response.arrayBuffer()).byteLength - 32 - 16,
      ]),
    );
    const small = [4096, 4096];
    assert.deepEqual(lengths, [small, small, small, small, [8192, 8192], [71_680, 71_680]]);
  });

  it('carry large bodies whole', async () => {
    const body = random(3_000_000);
    const { fetch } = await setup();
    const back = new Uint8Array(await (await fetch(post(body))).arrayBuffer());
    assert.ok(equalBytes(body, back));
  });

  it('answer 200 outside whatever the application answers', async () => {
    for (const status of [204, 304, 404, 500]) {
      // oxlint-disable-next-line no-await-in-loop -- four cases
      const { fetch, outer } = await setup({ app: () => new Response(null, { status }) });
      // oxlint-disable-next-line no-await-in-loop -- as above
      assert.equal((await fetch(post('x'))).status, status);
      assert.equal(outer[0]?.response.status, 200);
    }
  });

  it('answer a bare 500 inside where the application throws or its body breaks off', async () => {
    const secret = new Error('CANARY');
    const broken = new ReadableStream({ pull: (controller) => controller.error(secret) });
    for (const app of [() => Promise.reject(secret), () => new Response(broken)]) {
      const errors: unknown[] = [];
      const onError = (error: unknown) => void errors.push(error);
      // oxlint-disable-next-line no-await-in-loop -- two cases
      const { fetch, outer } = await setup({ app, gateway: { onError } });
      // oxlint-disable-next-line no-await-in-loop -- as above
      const response = await fetch(post('x'));
      assert.equal(response.status, 500);
      // oxlint-disable-next-line no-await-in-loop -- as above
      assert.doesNotMatch(await response.text(), /CANARY/);
      assert.equal(outer[0]?.response.status, 200);
      assert.deepEqual(errors, [secret]);
    }
  });

  it('keep several cookies apart and drop fields about the connection', async () => {
    const { fetch } = await setup({
      app: () =>
        new Response('x', {
          headers: [
            ['set-cookie', 'a=1'],
            ['set-cookie', 'b=2'],
            ['connection', 'close'],
          ],
        }),
    });
    const { headers } = await fetch(post('x'));
    assert.deepEqual(headers.getSetCookie(), ['a=1', 'b=2']);
    assert.equal(headers.get('connection'), null);
  });
});
