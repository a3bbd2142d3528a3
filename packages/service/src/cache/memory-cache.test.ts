import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UnavailableError } from '../unavailable-error.ts';
import { createFakeRedis } from './fake-redis.test.ts';
import { createMemoryCache } from './memory-cache.ts';
import { createRedisCache } from './redis-cache.ts';
import { withFallback } from './with-fallback.ts';

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

function setUp(maxBytes?: number) {
  const clock = { now: 0 };
  const now = (): Date => new Date(clock.now);
  return {
    clock,
    now,
    cache: createMemoryCache({ now, ...(maxBytes === undefined ? {} : { maxBytes }) }),
  };
}

describe('a cache in this process', () => {
  it('gives back copies, until their time is over', async () => {
    const { cache, clock } = setUp();
    const value = bytes('x');
    await cache.set('a', value, { ttlMs: 10 });
    value.fill(0);
    (await cache.get('a'))?.fill(0);
    assert.deepEqual(await cache.get('a'), bytes('x'));
    clock.now = 10;
    assert.equal(await cache.get('a'), undefined);
    await cache.set('a', bytes('y'), { ttlMs: 10 });
    await cache.delete('a');
    assert.equal(await cache.get('a'), undefined);
  });

  it('stays within its size: what was not used for longest goes', async () => {
    const { cache } = setUp(900);
    for (const key of ['a', 'b', 'c']) await cache.set(key, new Uint8Array(200), { ttlMs: 10 });
    assert.equal(await cache.get('a'), undefined);
    assert.ok((await cache.get('b')) !== undefined);
    await cache.set('d', new Uint8Array(200), { ttlMs: 10 });
    assert.equal(await cache.get('c'), undefined);
    assert.ok((await cache.get('b')) !== undefined);
    await cache.set('huge', new Uint8Array(2000), { ttlMs: 10 });
    assert.equal(await cache.get('huge'), undefined);
    assert.ok((await cache.get('d')) !== undefined);
  });

  it('counts from the first use on', async () => {
    const { cache, clock } = setUp();
    assert.equal(await cache.increment('n', { ttlMs: 10 }), 1);
    clock.now = 9;
    assert.equal(await cache.increment('n', { by: 4, ttlMs: 10 }), 5);
    clock.now = 10;
    assert.equal(await cache.increment('n', { ttlMs: 10 }), 1);
  });

  it('lets listeners hear, each by itself', async () => {
    const { cache } = setUp();
    const heard: string[] = [];
    const listener = (message: Uint8Array): void => {
      heard.push(new TextDecoder().decode(message));
    };
    const first = await cache.subscribe('c', listener);
    await cache.subscribe('c', listener);
    await cache.publish('c', bytes('1'));
    await first();
    await cache.publish('c', bytes('2'));
    await cache.publish('other', bytes('3'));
    assert.deepEqual(heard, ['1', '1', '2']);
  });
});

describe('a cache with another behind it', () => {
  it('goes on in this process while Redis is away, and shares again afterwards', async () => {
    const { now, cache: local } = setUp();
    const redis = createFakeRedis();
    const shared = createRedisCache({
      link: redis.link,
      prefix: 'records:',
      tenant: 't',
      keyspace: 'k',
      secrets: new Map([[1, new Uint8Array(32)]]),
      now,
    });
    let told = 0;
    const cache = withFallback(shared, local, () => {
      told += 1;
    });
    const heard: string[] = [];
    await cache.subscribe('c', (message) => heard.push(new TextDecoder().decode(message)));
    await cache.set('a', bytes('shared'), { ttlMs: 1000 });
    assert.equal(await local.get('a'), undefined);
    redis.failure = new UnavailableError('unreachable', 'cache');
    assert.equal(await cache.get('a'), undefined);
    await cache.set('a', bytes('local'), { ttlMs: 1000 });
    assert.deepEqual(await cache.get('a'), bytes('local'));
    assert.equal(await cache.increment('n', { ttlMs: 10 }), 1);
    await cache.publish('c', bytes('away'));
    redis.failure = undefined;
    await cache.publish('c', bytes('back'));
    assert.deepEqual(await cache.get('a'), bytes('shared'));
    await cache.set('a', bytes('newer'), { ttlMs: 1000 });
    redis.failure = new UnavailableError('unreachable', 'cache');
    assert.equal(await cache.get('a'), undefined, 'what the outage left is gone');
    await cache.delete('a');
    assert.equal(told, 7);
    assert.deepEqual(heard, ['away', 'back']);
    redis.failure = new Error('a bug');
    await assert.rejects(cache.get('a'), /a bug/);
  });
});
