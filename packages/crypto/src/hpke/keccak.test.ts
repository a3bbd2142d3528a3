import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { encodeHex } from '@cloister/bytes';
import { sha3Of256, shake256 } from './keccak.ts';

const message = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 151 + 7) & 0xff);

describe('keccak', () => {
  it('agrees with OpenSSL on SHA3-256 at every length across two block edges', () => {
    for (let length = 0; length <= 280; length++) {
      const expected = createHash('sha3-256').update(message(length)).digest('hex');
      assert.equal(encodeHex(sha3Of256(message(length))), expected, `length ${length}`);
    }
  });

  it('agrees with OpenSSL on SHAKE256 for outputs across block edges', () => {
    for (const length of [0, 1, 96, 135, 136, 137, 272, 273, 500]) {
      const expected = createHash('shake256', { outputLength: length })
        .update(message(32))
        .digest('hex');
      assert.equal(encodeHex(shake256(message(32), length)), expected, `output ${length}`);
    }
  });
});
