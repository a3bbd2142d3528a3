import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createCacheSealing, SEALING_OVERHEAD, type CacheSealingOptions } from './cache-sealing.ts';

const SECRET = new Uint8Array(32).fill(1);
const sealingOf = (changes: Partial<CacheSealingOptions> = {}) =>
  createCacheSealing({
    tenant: 'lamna',
    keyspace: 'images',
    secrets: new Map([[1, SECRET]]),
    ...changes,
  });
const VALUE = new TextEncoder().encode('CANARY patient');

describe('createCacheSealing', () => {
  it('opens what it sealed, and shows nothing of it', () => {
    const sealing = sealingOf();
    for (const value of [new Uint8Array(0), VALUE, new Uint8Array(100_000).fill(7)]) {
      const sealed = sealing.seal('key', 42, value);
      assert.equal(sealed.length, value.length + SEALING_OVERHEAD);
      assert.ok(!sealed.includes('CANARY'));
      assert.deepEqual(sealing.open('key', sealed), { value, version: 42 });
    }
    assert.notDeepEqual(sealing.seal('key', 42, VALUE), sealing.seal('key', 42, VALUE));
  });

  it('refuses, by one thing alone: another key, key space, tenant, secret', () => {
    const sealed = sealingOf().seal('key', 1, VALUE);
    const others = {
      key: sealingOf().open('other', sealed),
      keyspace: sealingOf({ keyspace: 'limits' }).open('key', sealed),
      tenant: sealingOf({ tenant: 'other' }).open('key', sealed),
      secret: sealingOf({ secrets: new Map([[1, new Uint8Array(32)]]) }).open('key', sealed),
    };
    for (const [what, result] of Object.entries(others)) assert.equal(result, 'tampered', what);
  });

  it('refuses every flipped bit and every shorter prefix', () => {
    const sealing = sealingOf();
    const sealed = sealing.seal('key', 5, VALUE);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(typeof sealing.open('key', changed), 'string');
    }
    for (let length = 0; length < sealed.length; length++)
      assert.equal(sealing.open('key', sealed.subarray(0, length)), 'tampered');
    assert.equal(sealing.open('key', Buffer.concat([sealed, Buffer.of(0)])), 'tampered');
  });

  it('does not mistake one key with bars in it for another', () => {
    const sealing = sealingOf();
    const sealed = sealing.seal('a|1|2', 3, VALUE);
    for (const key of ['a', 'a|1', 'a|1|2|1|3'])
      assert.equal(sealing.open(key, sealed), 'tampered');
  });

  it('opens what older epochs sealed, while their secrets are at hand', () => {
    const old = sealingOf().seal('key', 1, VALUE);
    const both = sealingOf({
      secrets: new Map([
        [1, SECRET],
        [2, new Uint8Array(32).fill(2)],
      ]),
    });
    assert.equal(both.epoch, 2);
    assert.deepEqual(both.open('key', old), { value: VALUE, version: 1 });
    const fresh = both.seal('key', 2, VALUE);
    assert.equal(sealingOf().open('key', fresh), 'unknown_epoch');
    assert.notEqual(both.blind('key', 1), both.blind('key', 2));
  });

  it('blinds names: the same for replicas, different for everything else', () => {
    const name = sealingOf().blind('ImagingStudy/1', 1);
    assert.match(name, /^[\w-]{43}$/);
    assert.equal(sealingOf().blind('ImagingStudy/1', 1), name);
    assert.notEqual(sealingOf().blind('ImagingStudy/2', 1), name);
    assert.notEqual(sealingOf({ keyspace: 'limits' }).blind('ImagingStudy/1', 1), name);
    assert.notEqual(sealingOf({ tenant: 'other' }).blind('ImagingStudy/1', 1), name);
  });

  it('refuses names and secrets that do not do', () => {
    const bad: Partial<CacheSealingOptions>[] = [
      { tenant: 'a|b' },
      { keyspace: '' },
      { secrets: new Map() },
      { secrets: new Map([[1, new Uint8Array(16)]]) },
      { secrets: new Map([[-1, SECRET]]) },
    ];
    for (const changes of bad) assert.throws(() => sealingOf(changes), { name: 'ConfigError' });
  });
});
