import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSteadyClock } from './steady-clock.ts';

const START = 1_000_000_000;

function clock() {
  const times = { wall: START, monotonic: 5, head: 0 };
  const now = createSteadyClock({
    wall: () => times.wall,
    monotonic: () => times.monotonic,
    newestHead: () => times.head,
  });
  return { times, now };
}

describe('createSteadyClock', () => {
  it('is the host’s clock as long as that runs', () => {
    const { times, now } = clock();
    times.wall += 1234;
    times.monotonic += 1200;
    assert.equal(now(), START + 1234);
  });

  it('never runs behind the newest head, and runs on from it', () => {
    const { times, now } = clock();
    times.head = START + 3_600_000;
    assert.equal(now(), START + 3_600_000);
    times.monotonic += 60_000;
    times.wall += 60_000;
    assert.equal(now(), START + 3_660_000);
  });

  it('runs on when the host sets its clock back, or stops it', () => {
    const { times, now } = clock();
    for (const wall of [START, START - 86_400_000]) {
      times.wall = wall;
      times.monotonic += 450_000;
    }
    assert.equal(now(), START + 900_000);
  });

  it('comes back when the host had set its clock ahead by mistake', () => {
    const { times, now } = clock();
    times.wall = START + 86_400_000;
    assert.equal(now(), START + 86_400_000);
    times.wall = START + 1000;
    times.monotonic += 1000;
    assert.equal(now(), START + 1000);
  });
});
