import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RespError } from './resp-reply.ts';
import { createFakeRedis } from './fake-redis.test.ts';
import { createRedisCache, type RedisCacheOptions } from './redis-cache.ts';

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const TTL = { ttlMs: 60_000 };

function setUp(changes: Partial<RedisCacheOptions> = {}) {
  const redis = createFakeRedis();
  const faults: string[] = [];
  const clock = { now: 1_700_000_000_000 };
  const open = (more: Partial<RedisCacheOptions> = {}) =>
    createRedisCache({
      link: redis.link,
      prefix: 'records:',
      tenant: 'lamna',
      keyspace: 'images',
      secrets: new Map([[1, new Uint8Array(32).fill(1)]]),
      now: () => new Date(clock.now),
      onFault: (fault) => faults.push(fault),
      ...changes,
      ...more,
    });
  return { redis, faults, clock, open, cache: open() };
}

/** The one thing that Redis was told: its name, and its bytes. */
function onlyOf(told: Iterable<readonly [string, Buffer]>): readonly [string, Buffer] {
  const [only, ...others] = told;
  assert.ok(only !== undefined && others.length === 0);
  return only;
}

describe('a cache in Redis', () => {
  it('gives back what was put in, here and in another replica', async () => {
    const { cache, open, redis } = setUp();
    assert.equal(await cache.get('ImagingStudy/1'), undefined);
    await cache.set('ImagingStudy/1', bytes('CANARY'), TTL);
    assert.deepEqual(await cache.get('ImagingStudy/1'), bytes('CANARY'));
    assert.deepEqual(await open().get('ImagingStudy/1'), bytes('CANARY'));
    await cache.delete('ImagingStudy/1');
    assert.equal(await cache.get('ImagingStudy/1'), undefined);
    assert.match(redis.sent[1]?.join(' ') ?? '', /^SET records:images:[\w-]{43} <bytes> PX 60000$/);
  });

  it('shows Redis neither names nor values nor messages', async () => {
    const { cache, redis } = setUp();
    await cache.set('Patient/CANARY', bytes('CANARY'), TTL);
    await cache.increment('CANARY', TTL);
    await cache.publish('CANARY', bytes('CANARY'));
    const seen = [
      JSON.stringify(redis.sent),
      ...Array.from(redis.values.values(), (value) => value.toString('latin1')),
      ...redis.published.map(([channel, message]) => channel + message.toString('latin1')),
    ];
    assert.ok(!seen.join('').includes('CANARY'));
  });

  it('refuses a value that was swapped with that of another key', async () => {
    const { cache, redis, faults } = setUp();
    await cache.set('a', bytes('of a'), TTL);
    await cache.set('b', bytes('of b'), TTL);
    const [a = '', b = ''] = redis.values.keys();
    const [ofA, ofB] = [redis.values.get(a), redis.values.get(b)];
    assert.ok(ofA !== undefined && ofB !== undefined);
    redis.values.set(a, ofB).set(b, ofA);
    assert.equal(await cache.get('a'), undefined);
    assert.equal(await cache.get('b'), undefined);
    assert.deepEqual(faults, ['tampered', 'tampered']);
  });

  it('refuses an older value of the same key', async () => {
    const { cache, redis, faults } = setUp();
    await cache.set('a', bytes('old'), TTL);
    const [name, old] = onlyOf(redis.values);
    await cache.set('a', bytes('new'), TTL);
    redis.values.set(name, old);
    assert.equal(await cache.get('a'), undefined);
    assert.deepEqual(faults, ['replayed']);
  });

  it('refuses what was deleted, and what another replica was seen to replace', async () => {
    const { cache, open, redis, faults, clock } = setUp();
    await cache.set('a', bytes('old'), TTL);
    const [name, old] = onlyOf(redis.values);
    clock.now += 1;
    await cache.delete('a');
    redis.values.set(name, old);
    assert.equal(await cache.get('a'), undefined);
    await open().set('a', bytes('new'), TTL);
    const reader = open();
    assert.deepEqual(await reader.get('a'), bytes('new'));
    redis.values.set(name, old);
    assert.equal(await reader.get('a'), undefined);
    assert.deepEqual(faults, ['replayed', 'replayed']);
  });

  it('refuses garbage and values of keys that are gone', async () => {
    const { cache, open, redis, faults } = setUp();
    await cache.set('a', bytes('x'), TTL);
    const [name = ''] = redis.values.keys();
    redis.values.set(name, Buffer.from('garbage'));
    assert.equal(await cache.get('a'), undefined);
    assert.equal(await open({ secrets: new Map([[1, new Uint8Array(32)]]) }).get('a'), undefined);
    assert.deepEqual(faults, ['tampered']);
  });

  it('finds values of both epochs while both are live', async () => {
    const { cache, open, redis } = setUp();
    await cache.set('a', bytes('old epoch'), TTL);
    const one = new Uint8Array(32).fill(1);
    const both = open({
      secrets: new Map([
        [1, one],
        [2, new Uint8Array(32).fill(2)],
      ]),
    });
    assert.deepEqual(await both.get('a'), bytes('old epoch'));
    await both.set('a', bytes('new epoch'), TTL);
    assert.deepEqual(await both.get('a'), bytes('new epoch'));
    await both.delete('a');
    assert.equal(redis.values.size, 0);
  });

  it('counts for all replicas', async () => {
    const { cache, open, redis } = setUp();
    assert.equal(await cache.increment('login', { ttlMs: 1000 }), 1);
    assert.equal(await open().increment('login', { by: 2, ttlMs: 1000 }), 3);
    assert.ok(redis.sent.some((args) => args[0] === 'PEXPIRE' && args[3] === 'NX'));
  });

  it('lets replicas hear each other, once, and nothing that is old or foreign', async () => {
    const { cache, open, redis, faults, clock } = setUp();
    const heard: string[] = [];
    const stop = await cache.subscribe('events', (message) => {
      heard.push(new TextDecoder().decode(message));
    });
    await open().publish('events', bytes('one'));
    const [channel, message] = onlyOf(redis.published);
    redis.say(channel, message);
    redis.say(channel, Buffer.from('garbage'));
    await open().publish('other', bytes('two'));
    redis.say(channel, redis.published[1]?.[1] ?? Buffer.alloc(0));
    clock.now += 61_000;
    redis.say(channel, message);
    await cache.publish('events', bytes('three'));
    await stop();
    await cache.publish('events', bytes('four'));
    assert.deepEqual(heard, ['one', 'three']);
    assert.deepEqual(faults, ['replayed', 'tampered', 'tampered', 'replayed']);
  });

  it('says so when Redis refuses or is away', async () => {
    const { cache, redis } = setUp();
    redis.failure = new RespError('NOPERM no');
    await assert.rejects(cache.get('a'), { name: 'UnavailableError', where: 'cache: NOPERM' });
    const away = new Error('away');
    redis.failure = away;
    await assert.rejects(cache.set('a', bytes('x'), TTL), away);
  });
});
