import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { VerifiedPeer } from '@cloister/attestation';
import { createTlsKey } from '@cloister/attester';
import { parseJsonObject, type Bytes } from '@cloister/bytes';
import { type Cache, createLog, RespError } from '@cloister/service';
import {
  redisMissing,
  startRedis,
  type RedisServer,
} from '../../services/cache/src/redis-server.test.ts';
import {
  createScene,
  makeToken,
  random,
  startGate,
  type RunningGate,
  type Scene,
} from '../../services/cache/src/scene.test.ts';
import { RateLimit } from '../../services/records/src/cache/rate-limit.ts';
import type { RecordsEvents } from '../../services/records/src/events.ts';
import { openCache } from '../../services/records/src/trust/open-cache.ts';
import { releaseOf } from '../../services/records/tools/test-release.ts';

const now = (): Date => new Date();
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const bytes = (text: string) => new TextEncoder().encode(text);
const codeOf = (line: string): string => JSON.stringify(parseJsonObject(line)['code']);
const CANARY = 'CANARY-of-a-patient';

describe('the cache of records, behind the gate, in a real Redis', { skip: redisMissing }, () => {
  let redis: RedisServer;
  let scene: Scene;
  let gate: RunningGate;
  const faults: string[] = [];
  const caches: Cache[] = [];

  before(async () => {
    redis = await startRedis();
    scene = await createScene();
    gate = await startGate(scene, redis);
  });
  after(async () => {
    for (const cache of caches) await cache.close();
    // Where Redis is gone already, so are its users.
    await gate.stop().catch(() => undefined);
    await redis.stop();
  });

  /** The cache of a replica, as its main program opens it. */
  function open(changes: { tls?: Scene['tls']; gateKey?: string; secret?: Bytes } = {}): Cache {
    const peer = {
      service: 'cache',
      tls: changes.gateKey ?? gate.serverTls.spkiSha256,
    } as unknown as VerifiedPeer;
    const value = changes.secret ?? new Uint8Array(32).fill(5);
    const { cache } = openCache({
      gate: { host: '127.0.0.1', port: gate.listening.port },
      tls: changes.tls ?? scene.tls,
      secret: () => releaseOf('tenant-key', 'aes256', [{ version: 1, from: 0, value }]),
      tenant: 'lamna',
      token: () => makeToken(scene),
      verify: () => Promise.resolve({ ok: true, claims: peer, checks: [] }),
      now,
      log: createLog<RecordsEvents>({
        service: 'records',
        write: (line) => faults.push(codeOf(line)),
        now,
      }),
    });
    caches.push(cache);
    return cache;
  }

  it('is shared by replicas, with counters and messages, within the role of the manifest', async () => {
    const [one, two] = [open(), open()];
    await one.set('rendered x', bytes(CANARY), { ttlMs: 60_000 });
    assert.deepEqual(await two.get('rendered x'), bytes(CANARY));
    const limits = [one, two].map(
      (cache) => new RateLimit({ cache, name: 'order', most: 3, windowMs: 60_000 }),
    );
    for (const limit of [...limits, limits[0]]) await limit?.count('somebody');
    for (const limit of limits)
      await assert.rejects(limit.check('somebody'), { code: 'throttled' });
    const heard: string[] = [];
    await two.subscribe('log', (message) => heard.push(new TextDecoder().decode(message)));
    await sleep(100);
    await one.publish('log', bytes('replica-one'));
    await sleep(200);
    assert.deepEqual(heard, ['replica-one']);
    assert.deepEqual(faults, []);
  });

  it('shows its host neither values nor names', async () => {
    const host = await redis.host();
    const keys = await host.send(['KEYS', '*']);
    assert.ok(Array.isArray(keys) && keys.length > 0);
    for (const key of keys) {
      assert.ok(key instanceof Uint8Array);
      assert.match(Buffer.from(key).toString(), /^records:cache:[\w-]{43}$/);
      const value = await host.send(['GET', key]);
      if (value instanceof Uint8Array) assert.ok(!Buffer.from(value).includes(CANARY));
    }
    host.close();
  });

  it('is not opened with another TLS key, or to another gate: then each goes on by itself', async () => {
    const foreign = await createTlsKey({ service: 'records', now: () => new Date(), random });
    for (const changes of [{ tls: foreign }, { gateKey: '00'.repeat(32) }]) {
      faults.length = 0;
      const cache = open(changes);
      const outcome = await cache.set('own', bytes('x'), { ttlMs: 1000 }).then(
        () => cache.get('own'),
        (error: unknown) => error,
      );
      // Refused by the gate, or not spoken to: it is never somebody else's value.
      if (outcome instanceof Error) assert.ok(outcome instanceof RespError);
      else assert.deepEqual(outcome, bytes('x'));
      assert.equal(await open().get('own'), undefined);
    }
  });

  it('takes nothing that Redis swapped, changed or made up', async () => {
    faults.length = 0;
    const cache = open();
    await cache.set('a', bytes('value a'), { ttlMs: 60_000 });
    await cache.set('b', bytes('value b'), { ttlMs: 60_000 });
    const other = open({ secret: new Uint8Array(32).fill(6) });
    await other.set('a', bytes('of another key'), { ttlMs: 60_000 });
    assert.deepEqual(await cache.get('a'), bytes('value a'));
    const host = await redis.host();
    const keys = await host.send(['KEYS', 'records:*']);
    assert.ok(Array.isArray(keys));
    const names = keys.filter((key) => key instanceof Uint8Array);
    const values = await Promise.all(names.map((name) => host.send(['GET', name])));
    // Every value under the name of another.
    for (const [i, name] of names.entries()) {
      const value = values[(i + 1) % values.length];
      if (value instanceof Uint8Array) await host.send(['SET', name, value]);
    }
    for (const key of ['a', 'b']) assert.equal(await cache.get(key), undefined);
    assert.ok(faults.length >= 2);
    host.close();
  });

  it('goes on without Redis', async () => {
    faults.length = 0;
    const cache = open();
    await cache.set('kept', bytes('before'), { ttlMs: 60_000 });
    await redis.stop();
    await cache.set('kept', bytes('meanwhile'), { ttlMs: 60_000 });
    assert.deepEqual(await cache.get('kept'), bytes('meanwhile'));
    assert.ok(faults.length > 0);
  });
});
