import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFakeRedis } from './fake-redis.test.ts';
import { createRedisCache } from './redis-cache.ts';

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

describe('a message that Redis holds back', () => {
  it('is heard within a minute, and never afterwards, though nobody heard it before', async () => {
    const redis = createFakeRedis();
    const clock = { now: 1_700_000_000_000 };
    const faults: string[] = [];
    const cache = createRedisCache({
      link: redis.link,
      prefix: 'records:',
      tenant: 'lamna',
      keyspace: 'events',
      secrets: new Map([[1, new Uint8Array(32).fill(1)]]),
      now: () => new Date(clock.now),
      onFault: (fault) => faults.push(fault),
    });
    // Published while nobody listens: the host keeps what it was given.
    await cache.publish('log', bytes('in time'));
    await cache.publish('log', bytes('too late'));
    const [inTime, late] = redis.published;
    assert.ok(inTime !== undefined && late !== undefined);
    const heard: string[] = [];
    await cache.subscribe('log', (message) => {
      heard.push(new TextDecoder().decode(message));
    });
    clock.now += 59_000;
    redis.say(...inTime);
    clock.now += 2000;
    redis.say(...late);
    assert.deepEqual(heard, ['in time']);
    assert.deepEqual(faults, ['replayed']);
  });
});
