import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openBytes, sealBytes } from './model-file.ts';

const random = (length: number): Uint8Array<ArrayBuffer> =>
  crypto.getRandomValues(new Uint8Array(length));

describe('a file that is sealed twice under one key and name', () => {
  it('comes out different, chunk by chunk: no key and nonce is used again', async () => {
    const key = random(32);
    const file = new Uint8Array((1 << 20) + 4096);
    const [one, other] = await Promise.all([
      sealBytes(key, file, 'model/a/1', random),
      sealBytes(key, file, 'model/a/1', random),
    ]);
    assert.equal(one.length, other.length);
    const blocks = one.length >> 4;
    let alike = 0;
    for (let at = 0; at < blocks; at++) {
      const [from, to] = [at << 4, (at + 1) << 4];
      if (Buffer.compare(one.subarray(from, to), other.subarray(from, to)) === 0) alike++;
    }
    // What says of which format it is may be alike; nothing of the content is, though it is all zeros.
    assert.ok(alike <= 2, `${alike} blocks are alike`);
    assert.deepEqual(await openBytes(key, other, 'model/a/1'), file);
  });
});
