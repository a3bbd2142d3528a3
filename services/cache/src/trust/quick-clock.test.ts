import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createQuickClock } from './quick-clock.ts';

describe('createQuickClock', () => {
  it('runs with the host’s clock, as far ahead as the exact one was at the last comparison', () => {
    const times = { exact: 1_000_500, host: 1_000_000 };
    const clock = createQuickClock(
      () => times.exact,
      () => times.host,
    );
    assert.equal(clock.now(), 1_000_500);
    times.host += 100;
    assert.equal(clock.now(), 1_000_600);
  });

  it('is put right by the next comparison, when the host has set its clock back', () => {
    const times = { exact: 1_000_000, host: 1_000_000 };
    const clock = createQuickClock(
      () => times.exact,
      () => times.host,
    );
    times.host -= 3_600_000;
    times.exact += 250;
    clock.correct();
    assert.equal(clock.now(), 1_000_250);
  });
});
