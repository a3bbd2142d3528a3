import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createReplayMemory } from './replay-memory.ts';

const START = Date.UTC(2026, 10, 24, 12);
const digest = (n: number) => new Uint8Array(32).fill(n);
const at = (minutes: number) => new Date(START + minutes * 60_000);

describe('createReplayMemory', () => {
  it('knows an encapsulation until it may be forgotten, whatever date the second one claims', async () => {
    let now = at(0);
    const memory = createReplayMemory({ now: () => now });
    assert.equal(await memory.remember(digest(1), at(10)), true);
    for (const minute of [0, 5, 10]) {
      now = at(minute);
      assert.equal(await memory.remember(digest(1), at(minute + 10)), false, `minute ${minute}`);
    }
    now = at(11);
    assert.equal(await memory.remember(digest(1), at(21)), true);
  });

  it('lets nothing in that it cannot remember', async () => {
    let now = at(0);
    const memory = createReplayMemory({ now: () => now, capacity: 2 });
    assert.equal(await memory.remember(digest(1), at(1)), true);
    assert.equal(await memory.remember(digest(2), at(1)), true);
    assert.equal(await memory.remember(digest(3), at(1)), false);
    now = at(2);
    assert.equal(await memory.remember(digest(3), at(3)), true);
  });
});
