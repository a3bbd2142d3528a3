import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RateLimit } from './rate-limit.ts';

describe('RateLimit', () => {
  it('lets an address have what it saved up, then so many a second', () => {
    let now = 0;
    const limit = new RateLimit(5, () => now);
    const taken = (): number => {
      let count = 0;
      while (limit.take('a')) count += 1;
      return count;
    };
    assert.equal(taken(), 10);
    now += 1000;
    assert.equal(taken(), 5);
    now += 100;
    assert.equal(taken(), 0);
    now += 60_000;
    assert.equal(taken(), 10);
    assert.ok(limit.take('b'));
  });

  it('is none where it is 0', () => {
    const limit = new RateLimit(0, () => 0);
    for (let i = 0; i < 1000; i++) assert.ok(limit.take('a'));
  });

  it('forgets addresses, so that many cost no memory', () => {
    let now = 0;
    const limit = new RateLimit(1, () => now);
    for (let i = 0; i < 50_000; i++) {
      now += 1;
      assert.ok(limit.take(`address ${i}`));
    }
    assert.ok(limit.take('last'));
    assert.ok(limit.take('last'));
    assert.equal(limit.take('last'), false);
  });
});
