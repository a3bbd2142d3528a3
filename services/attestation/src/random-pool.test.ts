import assert from 'node:assert/strict';
import { it } from 'node:test';
import { encodeHex, isZero } from '@cloister/bytes';
import { createRandomPool } from './random-pool.ts';

it('the pool gives bytes of any length, each once, and never what it wiped', () => {
  const random = createRandomPool();
  const seen = new Set<string>();
  for (let i = 0; i < 2000; i++) {
    const bytes = random(16 + (i % 17));
    assert.equal(bytes.length, 16 + (i % 17));
    assert.ok(!isZero(bytes));
    seen.add(encodeHex(bytes.subarray(0, 16)));
  }
  assert.equal(seen.size, 2000);
  assert.equal(random(0).length, 0);
  const large = random(20_000);
  assert.ok(large.length === 20_000 && !isZero(large.subarray(19_900)));
});
