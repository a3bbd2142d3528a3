import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as nodeCrypto from 'node:crypto';
import { describe, it } from 'node:test';
import { concatBytes, decodeHex, encodeHex, isZero } from '@cloister/bytes';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { createDhKem, agree } from './dh-kem.ts';
import { createNodePrimitives } from './node-primitives.ts';
import type { HpkePrimitives } from './primitives.ts';
import { WEB_PRIMITIVES } from './web-primitives.ts';

function tests(name: string): readonly unknown[] {
  if (sharedMissing) return [];
  const text = readFileSync(shared(`vectors/protocol/${name}.json`), 'utf8');
  return (JSON.parse(text) as { tests: readonly unknown[] }).tests;
}

interface DhTest {
  readonly tcId: number;
  readonly comment: string;
  readonly public: string;
  readonly private: string;
  readonly shared: string;
}

interface GcmTest {
  readonly tcId: number;
  readonly comment: string;
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
  readonly result: 'valid' | 'invalid';
  readonly ivSize: number;
}

const PROVIDERS: readonly (readonly [string, HpkePrimitives])[] = [
  ['WebCrypto', WEB_PRIMITIVES],
  [
    'node:crypto',
    createNodePrimitives<nodeCrypto.KeyObject, Buffer>(nodeCrypto, (bytes) => Buffer.from(bytes)),
  ],
];

for (const [provider, primitives] of PROVIDERS) {
  describe(`X25519 against Wycheproof, ${provider}`, { skip: sharedMissing }, () => {
    const all = tests('wycheproof-x25519') as readonly DhTest[];
    it('has tests', () => assert.ok(all.length > 0));
    for (const test of all) {
      it(`${test.tcId} ${test.comment}`, async () => {
        const key = await primitives.x25519.import(decodeHex(test.private));
        const result = agree(key, decodeHex(test.public), 'bad_encapsulation');
        if (isZero(decodeHex(test.shared))) {
          await assert.rejects(result, { code: 'bad_encapsulation' });
          const kem = createDhKem('x25519', primitives);
          const publicKey = await kem.deserializePublicKey(decodeHex(test.public));
          await assert.rejects(publicKey.encapsulate(), { code: 'bad_public_key' });
          return;
        }
        assert.equal(encodeHex(await result), test.shared);
      });
    }
  });

  describe(`AES-GCM against Wycheproof, ${provider}`, { skip: sharedMissing }, () => {
    const all = tests('wycheproof-aes-gcm') as readonly GcmTest[];
    it('has tests', () => assert.ok(all.length > 0));
    for (const test of all) {
      it(`${test.tcId} ${test.comment} (${test.result}, IV of ${test.ivSize} bits)`, async () => {
        const aead = await primitives.aesGcm(decodeHex(test.key));
        const [iv, aad] = [decodeHex(test.iv), decodeHex(test.aad)];
        const sealed = concatBytes(decodeHex(test.ct), decodeHex(test.tag));
        const open = async () => concatBytes(...(await aead.open(iv, aad, [sealed])));
        if (test.ivSize !== 96 || test.result === 'invalid') {
          await assert.rejects(open);
          return;
        }
        assert.equal(encodeHex(await open()), test.msg);
        const message = decodeHex(test.msg);
        const middle = Math.floor(message.length / 3);
        for (const pieces of [
          [message],
          [message.subarray(0, middle), new Uint8Array(), message.subarray(middle)],
          ...(message.length === 0 ? [[]] : []),
        ])
          assert.equal(
            encodeHex(concatBytes(...(await aead.seal(iv, aad, pieces)))),
            encodeHex(sealed),
          );
      });
    }
  });
}

describe('node:crypto and WebCrypto', () => {
  const [[, web] = assert.fail(), [, node] = assert.fail()] = PROVIDERS;
  const data = Uint8Array.from({ length: 300 }, (_, i) => i);

  it('hash alike, and take keys of every length for HMAC', async () => {
    for (const length of [0, 1, 64, 65, 200]) {
      const part = data.subarray(0, length);
      assert.deepEqual(await node.sha256(part), await web.sha256(part));
      assert.deepEqual(await node.sha3Of256(part), await web.sha3Of256(part));
      assert.deepEqual(await node.hmacSha256(part, data), await web.hmacSha256(part, data));
    }
  });

  it('take the data of an HMAC in parts, and long data too', async () => {
    const key = data.subarray(0, 32);
    const long = new Uint8Array(5000).fill(3);
    for (const parts of [
      [],
      [data],
      [data.subarray(0, 7), new Uint8Array(), data.subarray(7)],
      [long, data],
    ]) {
      const expected = nodeCrypto
        .createHmac('sha256', key)
        .update(concatBytes(...parts))
        .digest();
      for (const [, primitives] of PROVIDERS)
        assert.equal(
          encodeHex(await primitives.hmacSha256(key, ...parts)),
          expected.toString('hex'),
        );
    }
  });

  it('seal short and long pieces alike, in any mixture', async () => {
    const [key, nonce, none] = [data.subarray(0, 32), data.subarray(0, 12), new Uint8Array()];
    const sizes = [
      [],
      [0],
      [5, 0, 7],
      [32_768],
      [32_767, 1, 1],
      [9, 40_000, 3, 70_000, 20_000, 20_000],
    ];
    for (const lengths of sizes) {
      const pieces = lengths.map((length, i) => new Uint8Array(length).fill(i + 1));
      const sealed = concatBytes(...(await (await node.aesGcm(key)).seal(nonce, none, pieces)));
      for (const provider of [web, node]) {
        const aead = await provider.aesGcm(key);
        const opened = await aead.open(nonce, none, [sealed]);
        assert.deepEqual(concatBytes(...opened), concatBytes(...pieces));
      }
    }
  });

  it('open what comes in pieces cut anywhere, also in the tag, and nothing that is wrong in one', async () => {
    const [key, nonce, none] = [data.subarray(0, 32), data.subarray(0, 12), new Uint8Array()];
    const message = new Uint8Array(70_000).map((_, i) => i % 251);
    const sealed = concatBytes(...(await (await web.aesGcm(key)).seal(nonce, none, [message])));
    const cuts = [[0], [1, 2, 3], [40_000], [33_000, 33_001, 69_999], [70_000], [70_003, 70_015]];
    for (const provider of [web, node])
      for (const at of cuts) {
        const aead = await provider.aesGcm(key);
        const edges = [0, ...at, sealed.length];
        const pieces = edges.slice(1).map((end, i) => sealed.slice(edges[i], end));
        assert.deepEqual(concatBytes(...(await aead.open(nonce, none, pieces))), message);
        for (const piece of pieces) {
          if (piece.length === 0) continue;
          const last = piece.length - 1;
          piece[last] = (piece[last] ?? 0) ^ 1;
          await assert.rejects(async () => aead.open(nonce, none, pieces));
          piece[last] = (piece[last] ?? 0) ^ 1;
        }
      }
  });

  it('open nothing that is shorter than a tag, in however many pieces', async () => {
    const [key, nonce, none] = [data.subarray(0, 32), data.subarray(0, 12), new Uint8Array()];
    for (const provider of [web, node]) {
      const aead = await provider.aesGcm(key);
      for (const pieces of [[], [new Uint8Array(15)], [new Uint8Array(8), new Uint8Array(7)]])
        await assert.rejects(async () => aead.open(nonce, none, pieces));
    }
  });

  it('agree with a peer whose key was used before, and with another', async () => {
    const [first, second] = [await node.x25519.generate(), await node.x25519.generate()];
    const own = await node.x25519.generate();
    for (const peer of [first, second, first])
      assert.deepEqual(await own.agree(peer.publicKey), await peer.agree(own.publicKey));
    assert.notDeepEqual(await own.agree(first.publicKey), await own.agree(second.publicKey));
  });
});

describe('agree', () => {
  it('refuses an all-zero result of a provider that lets it pass', async () => {
    const lax = { publicKey: new Uint8Array(32), agree: () => new Uint8Array(32) };
    await assert.rejects(agree(lax, new Uint8Array(32), 'bad_encapsulation'), {
      code: 'bad_encapsulation',
    });
  });
});
