// What was found wrong in the protocol of an earlier project (spec/confidential-inference.md 2.1), one by one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Bytes, equalBytes } from '@cloister/bytes';
import { outerPost, peerWith, post, setup } from './channel-setup.test.ts';
import { createChannelKeys, encodeKeyConfigs } from './ohttp/channel-keys.ts';

const NONCE_SIZE = 32;

/** The keystream and tag under which a known plaintext went, as far as an eavesdropper can have it. */
const xor = (one: Bytes, other: Bytes): Bytes => one.map((byte, i) => byte ^ (other[i] ?? 0));

describe('a known defect of attested channels', () => {
  it('nonce reuse: no two answers are sealed alike, not even to the same encapsulation', async () => {
    // A gateway that forgets what came before, so that one request is answered many times.
    const { fetch, outer, gateway } = await setup({
      app: () => new Response('the same score', { headers: { date: 'x' } }),
      gateway: { replay: { remember: () => true } },
    });
    await fetch(post('x'));
    const { request } = outer[0] ?? assert.fail();
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => (await gateway.handle(outerPost(request))).bytes()),
    );
    const nonces = new Set(
      answers.map((one) => Buffer.from(one.slice(0, NONCE_SIZE)).toString('hex')),
    );
    assert.equal(nonces.size, answers.length);
    const [first = assert.fail(), ...others] = answers.map((one) => one.slice(NONCE_SIZE));
    for (const other of others) {
      assert.equal(other.length, first.length);
      // Under one key and nonce, equal plaintexts would cancel out.
      const difference = xor(first, other);
      assert.ok(difference.filter((byte) => byte === 0).length < difference.length / 16);
    }
  });

  it('replay: a request that came before is not answered by the application again', async () => {
    const { fetch, outer, gateway, contexts } = await setup();
    await fetch(post('x'));
    const { request } = outer[0] ?? assert.fail();
    const again = await gateway.handle(outerPost(request));
    assert.equal(again.status, 200, 'what is said of it is said inside');
    assert.equal(contexts.length, 1);
  });

  it('additional data of the message: its header is bound, byte for byte', async () => {
    const { fetch, outer, gateway, contexts } = await setup();
    await fetch(post('x'));
    const { request } = outer[0] ?? assert.fail();
    for (let at = 0; at < 7; at++) {
      const changed = request.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.equal((await gateway.handle(outerPost(changed))).status, 400);
    }
    assert.equal(contexts.length, 1);
  });

  it('a droppable verdict: a channel takes a peer that was verified, and no copy of one', async () => {
    const keys = await createChannelKeys({ kem: 'x-wing', keyId: 1 });
    const peer = peerWith(encodeKeyConfigs(keys));
    await assert.rejects(setup({ channel: { peer: { ...peer } } }), { code: 'peer_changed' });
  });

  it('path, method and fields in the clear: nothing of them is outside', async () => {
    const { fetch, outer } = await setup();
    await fetch(
      new Request('https://records/fhir/Patient?name=CANARY', { headers: { 'x-a': 'CANARY' } }),
    );
    const [{ request } = assert.fail()] = outer;
    assert.ok(!Buffer.from(request).includes('CANARY'));
    assert.ok(!Buffer.from(request).includes('Patient'));
    assert.ok(!equalBytes(request.slice(0, 3), new TextEncoder().encode('GET')));
  });
});
