import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { it } from 'node:test';
import { encodeHex } from '@cloister/bytes';
import { sha256, sha384 } from './digest.ts';

it('sha256 and sha384 agree with node:crypto', async () => {
  for (const length of [0, 1, 63, 64, 65, 1000]) {
    const data = new Uint8Array(length).fill(length);
    assert.equal(encodeHex(await sha256(data)), createHash('sha256').update(data).digest('hex'));
    assert.equal(encodeHex(await sha384(data)), createHash('sha384').update(data).digest('hex'));
  }
});
