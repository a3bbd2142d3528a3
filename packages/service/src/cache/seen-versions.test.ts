import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSeenVersions } from './seen-versions.ts';

const now = () => new Date(1000);

describe('createSeenVersions', () => {
  it('takes no version that is older than one that was seen', () => {
    const seen = createSeenVersions({ now });
    assert.ok(seen.accept('a', 5));
    assert.ok(seen.accept('a', 5));
    assert.ok(!seen.accept('a', 4));
    assert.ok(seen.accept('a', 6));
    assert.ok(seen.accept('b', 1));
  });

  it('gives versions that grow, above all that were seen, whatever the clock does', () => {
    const seen = createSeenVersions({ now });
    assert.equal(seen.next(), 1_000_000);
    assert.equal(seen.next(), 1_000_001);
    seen.accept('a', 7_000_000);
    assert.equal(seen.next(), 7_000_001);
  });

  it('forgets names, never that they were seen', () => {
    const seen = createSeenVersions({ now, capacity: 2 });
    seen.accept('a', 10);
    seen.accept('b', 20);
    seen.accept('c', 30);
    assert.ok(!seen.accept('a', 10), 'the forgotten name is not taken at its old version');
    assert.ok(seen.accept('a', 11));
    assert.ok(!seen.accept('b', 20));
    assert.ok(seen.accept('c', 30));
  });
});
