import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryCache } from '@cloister/service';
import { createReplaceableCache } from './replaceable-cache.ts';

const now = (): Date => new Date(0);
const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const ttlMs = 1000;

describe('createReplaceableCache', () => {
  it('does not find what was in the one before', async () => {
    const cache = createReplaceableCache(createMemoryCache({ now }));
    await cache.set('a', bytes('old'), { ttlMs });
    await cache.replace(createMemoryCache({ now }));
    assert.equal(await cache.get('a'), undefined);
    await cache.set('a', bytes('new'), { ttlMs });
    assert.deepEqual(await cache.get('a'), bytes('new'));
  });

  it('hears on the one before as well, until the next one comes', async () => {
    const caches = [1, 2, 3].map(() => createMemoryCache({ now }));
    const [first, second, third] = caches;
    assert.ok(first && second && third);
    const cache = createReplaceableCache(first);
    const heard: string[] = [];
    const stop = await cache.subscribe('c', (message) => {
      heard.push(new TextDecoder().decode(message));
    });
    await cache.replace(second);
    await first.publish('c', bytes('1'));
    await second.publish('c', bytes('2'));
    await cache.replace(third);
    await first.publish('c', bytes('1 again'));
    await second.publish('c', bytes('2 again'));
    await third.publish('c', bytes('3'));
    assert.deepEqual(heard, ['1', '2', '2 again', '3']);
    await stop();
    for (const one of caches) await one.publish('c', bytes('late'));
    assert.equal(heard.length, 4);
  });
});
