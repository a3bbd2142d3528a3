import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  createChannel,
  createChannelKeys,
  createGateway,
  encodeKeyConfigs,
} from '@cloister/channel';
import { createScene, now, random, type Scene } from './scene.test.ts';

let scene: Scene;
before(async () => {
  scene = await createScene();
});
after(() => scene.close());

describe('evidence that another host relays', () => {
  it('gives that host nothing: what is sent goes to the key in the evidence', async () => {
    // The host passes the question with its nonce on, and so has a good answer to show.
    const peer = await scene.peer();
    const seen: string[] = [];
    const hosts = await createChannelKeys({ kem: 'x-wing', keyId: 1 });
    const gateway = createGateway({
      keys: () => [hosts],
      now,
      fetch: async (request) => {
        seen.push(await request.text());
        return new Response('read by the host');
      },
    });
    const sent: Uint8Array[] = [];
    const call = createChannel({
      peer,
      url: 'https://inference.example/.well-known/ohttp-gateway',
      transport: async (request) => {
        sent.push(new Uint8Array(await request.clone().arrayBuffer()));
        return gateway.handle(request);
      },
      now,
      random,
    });
    const pixels = 'pixels of a radiograph';
    const request = new Request('https://inference/v2', { method: 'POST', body: pixels });
    await assert.rejects(call(request), { name: 'ChannelError' });
    assert.deepEqual(seen, []);
    assert.equal(sent.length, 1);
    assert.ok(!Buffer.concat(sent).includes(pixels));
    // With its own key the host has no evidence that names it.
    assert.notDeepEqual(peer.ohttp, encodeKeyConfigs(hosts));
  });
});
