// Keys that do not belong together: what a host makes of key ids, KEMs and suites of its choosing.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Bytes, concatBytes, encodeUtf8 } from '@cloister/bytes';
import { HKDF_SHA256_ID, KEM_IDS, type KemName } from '@cloister/crypto';
import { createChannel } from './channel.ts';
import {
  NOW,
  outerPost,
  peerWith,
  post,
  random,
  setup,
  URL_OF_GATEWAY,
} from './channel-setup.test.ts';
import {
  type ChannelKeys,
  createChannelKeys,
  createSuites,
  encodeKeyConfigs,
} from './ohttp/channel-keys.ts';
import { openRequest } from './ohttp/request-encryption.ts';
import { KEY_PROBLEM } from './problem.ts';

const CLASSICAL: readonly KemName[] = ['x25519', 'p-256'];

/**
 * A request that was sealed to these keys, under a header of the sender's choosing. Who chooses the
 * header binds it as well: that it is bound does not help the one who opens.
 */
async function sealTo(
  { config }: ChannelKeys,
  changes: Partial<Record<'kem' | 'kdf' | 'aead', number>> = {},
): Promise<Bytes> {
  const hpke = createSuites(config.kem).get('aes-256-gcm') ?? assert.fail();
  const header = new Uint8Array(7);
  const view = new DataView(header.buffer);
  view.setUint8(0, config.keyId);
  view.setUint16(1, changes.kem ?? KEM_IDS[config.kem]);
  view.setUint16(3, changes.kdf ?? HKDF_SHA256_ID);
  view.setUint16(5, changes.aead ?? hpke.aeadId);
  const info = concatBytes(encodeUtf8('message/bhttp request\0'), header);
  const publicKey = await hpke.deserializePublicKey(config.publicKey);
  const { enc, context } = await hpke.setupSender(publicKey, info);
  return concatBytes(header, enc, ...(await context.sealPieces([encodeUtf8('request')])));
}

/** What a peer's evidence says that it offers. */
const listed = (...keys: readonly ChannelKeys[]): Bytes =>
  concatBytes(...keys.map((one) => encodeKeyConfigs(one)));

describe('a classical KEM where only X-Wing is admitted', () => {
  for (const kem of CLASSICAL) {
    it(`is not used by a client: ${kem}, offered first or alone`, async () => {
      const [weak, strong] = await Promise.all([
        createChannelKeys({ kem, keyId: 1 }),
        createChannelKeys({ kem: 'x-wing', keyId: 2 }),
      ]);
      const sent: Bytes[] = [];
      const fetchBy = (ohttp: Bytes) =>
        createChannel({
          peer: peerWith(ohttp),
          url: URL_OF_GATEWAY,
          transport: async (request) => {
            sent.push(new Uint8Array(await request.arrayBuffer()));
            return new Response();
          },
          now: () => new Date(NOW),
          random,
        });
      await assert.rejects(fetchBy(listed(weak))(post('x')), { code: 'no_suite' });
      assert.equal(sent.length, 0);
      await assert.rejects(fetchBy(listed(weak, strong))(post('x')), { code: 'not_encapsulated' });
      const [only = assert.fail()] = sent;
      assert.equal(only[0], 2);
      assert.equal((only[1] ?? 0) * 256 + (only[2] ?? 0), KEM_IDS['x-wing']);
    });

    it(`is not opened by a gateway: ${kem}, under the id of its key`, async () => {
      const { gateway } = await setup();
      const own = await createChannelKeys({ kem, keyId: 5 });
      const answer = await gateway.handle(outerPost(await sealTo(own)));
      assert.equal(answer.status, 400);
      assert.ok((await answer.text()).includes(KEY_PROBLEM));
    });
  }
});

describe('key mix-ups', () => {
  it('a key is opened under its own KEM only, and its own suite', async () => {
    const keys = await createChannelKeys({ kem: 'x-wing', keyId: 5 });
    const good = await sealTo(keys);
    assert.ok(await openRequest([good], [keys]));
    for (const kem of CLASSICAL)
      assert.equal(
        await openRequest([await sealTo(keys, { kem: KEM_IDS[kem] })], [keys]),
        undefined,
      );
    const [hkdfSha512, chaCha20] = [3, 3];
    assert.equal(await openRequest([await sealTo(keys, { kdf: hkdfSha512 })], [keys]), undefined);
    assert.equal(await openRequest([await sealTo(keys, { aead: chaCha20 })], [keys]), undefined);
  });

  it('of two keys with different ids, each opens what names it and nothing else', async () => {
    const [one, two] = await Promise.all([
      createChannelKeys({ kem: 'x-wing', keyId: 1 }),
      createChannelKeys({ kem: 'x-wing', keyId: 2 }),
    ]);
    const toOne = await sealTo(one);
    assert.equal((await openRequest([toOne], [two, one]))?.keys, one);
    const renamed = toOne.slice();
    renamed[0] = 2;
    assert.equal(await openRequest([renamed], [two, one]), undefined);
  });

  it('a request that was sealed to the key of a host is opened by nobody', async () => {
    const { gateway, keys } = await setup();
    const hosts = await createChannelKeys({ kem: 'x-wing', keyId: keys.config.keyId });
    const answer = await gateway.handle(outerPost(await sealTo(hosts)));
    assert.equal(answer.status, 400);
  });
});
