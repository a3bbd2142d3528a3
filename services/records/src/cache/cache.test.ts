import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type Cache, createLog, createMemoryCache, openSqliteStore } from '@cloister/service';
import {
  client,
  type Client,
  idOf,
  newFolder,
  patient,
  png,
  type Running,
  signIn,
  startOn,
  textOf,
} from '../../tools/test-records.ts';
import { memoryServer } from '../../tools/test-replicas.ts';
import { releaseOf } from '../../tools/test-release.ts';
import type { RecordsEvents } from '../events.ts';
import { openCache } from '../trust/open-cache.ts';
import { startFanOut } from './fan-out.ts';
import { RateLimit } from './rate-limit.ts';

/** A wrong password. What a replica does by itself against it is over: its clock goes on. */
async function guess(at: Running): Promise<number> {
  at.at = new Date(at.at.getTime() + 400_000);
  const body = JSON.stringify({ user: 'clerk', password: 'x' });
  return (await client(at)('POST', '/session', { body })).status;
}
const refuse = (): Promise<never> => Promise.reject(new TypeError('NOPERM'));
const now = (): Date => new Date();
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('RateLimit', () => {
  it('lets a name do so much in a window, and each name its own', async () => {
    let at = 0;
    const cache = createMemoryCache({ now: () => new Date(at) });
    const limit = new RateLimit({ cache, name: 'x', most: 3, windowMs: 1000 });
    for (let i = 0; i < 3; i++) {
      await limit.check('a');
      await limit.count('a');
    }
    await assert.rejects(limit.check('a'), { code: 'throttled', retryAfter: 1 });
    await assert.rejects(limit.count('a'), { code: 'throttled' });
    await limit.count('b');
    await new RateLimit({ cache, name: 'y', most: 1, windowMs: 1000 }).count('a');
    at = 1001;
    await limit.count('a');
  });
});

describe('openCache', () => {
  it('goes on by itself where the gate cannot be reached or is not trusted', async () => {
    const lines: string[] = [];
    const versions = [{ version: 1, from: 0, value: new Uint8Array(32) }];
    const { cache, ...opened } = openCache({
      gate: { host: '127.0.0.1', port: 9 },
      tls: { cert: '', key: '', spkiSha256: '' },
      secret: () => releaseOf('tenant-key', 'aes256', versions),
      tenant: 'lamna',
      token: () => Promise.resolve('token'),
      verify: () => Promise.resolve({ ok: false, code: 'quote.signature', checks: [] }),
      now,
      log: createLog<RecordsEvents>({ service: 'records', write: (l) => lines.push(l), now }),
    });
    await cache.set('a', new Uint8Array([1]), { ttlMs: 1000 });
    assert.deepEqual(await cache.get('a'), new Uint8Array([1]));
    assert.ok(lines.every((line) => line.includes('cache_failed')));
    assert.ok(lines.length > 0);
    assert.equal(await opened.isReachable(), false);
    await cache.close();
  });
});

describe('two replicas with one cache', () => {
  let one: Running;
  let two: Running;
  let cache: Cache;
  let asked: string[];
  const stops: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    const server = memoryServer(openSqliteStore(':memory:'));
    const folder = newFolder();
    const memory = createMemoryCache({ now });
    asked = [];
    cache = {
      ...memory,
      get: async (key) => {
        const found = await memory.get(key);
        asked.push(`${key.split('/')[0]} ${found === undefined ? 'missed' : 'found'}`);
        return found;
      },
    };
    one = await startOn(server.connect(), folder, true, cache);
    two = await startOn(server.connect(), folder, true, cache);
  });
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
    await one.close();
    await two.close();
  });

  async function bothSignedIn(): Promise<[Client, Client]> {
    const { json } = await client(one)('POST', '/session', {
      body: JSON.stringify({ user: 'clerk', password: 'clerk-password' }),
    });
    const token = textOf(json['token']);
    return [client(one, token), client(two, token)];
  }

  it('render an image once, and record every look at it', async () => {
    const [atOne, atTwo] = await bothSignedIn();
    const who = idOf(await atOne('POST', '/fhir/Patient', { body: patient('MRN-1') }));
    const stored = await atOne('POST', `/images?patient=${who}`, {
      body: png(30, 30),
      headers: { 'content-type': 'image/png' },
    });
    const path = `/images/${textOf(stored.json['imagingStudy']).split('/')[1]}/rendered`;
    const [first, second] = [await atOne('GET', path), await atTwo('GET', path)];
    assert.equal(second.status, 200);
    assert.deepEqual(second.bytes, first.bytes);
    assert.deepEqual(asked, ['rendered missed', 'rendered found']);
    const looks = await atOne('GET', `/fhir/AuditEvent?patient=${who}&_summary=count`);
    assert.equal(looks.json['total'], 4, 'created twice, looked at twice');
    assert.equal((await client(two)('GET', path)).status, 401, 'cached or not');
  });

  it('count wrong passwords together', async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 21; i++) statuses.push(await guess(i % 2 === 0 ? one : two));
    assert.deepEqual(statuses, [...Array<number>(20).fill(401), 429]);
  });

  it('bound what one person orders', async () => {
    const call = await signIn(one);
    const order = { resourceType: 'Task', status: 'requested', intent: 'order' };
    const statuses = new Set<number>();
    for (let i = 0; i < 121; i++)
      statuses.add((await call('POST', '/fhir/Task', { body: order })).status);
    assert.deepEqual([...statuses], [422, 429]);
  });

  it('tell each other at once that the log has grown', async () => {
    const failures: unknown[] = [];
    for (const [replica, { deps }] of Object.entries({ one, two }))
      stops.push(
        await startFanOut({
          ledger: deps.ledger,
          cache,
          replica,
          onFailure: (error) => failures.push(error),
        }),
      );
    let slowest = 0;
    for (let i = 1; i <= 10; i++) {
      const started = performance.now();
      const seen = new Promise<void>((resolve) => {
        const off = two.deps.ledger.onChange(() => {
          off();
          resolve();
        });
      });
      await one.deps.ledger.commit([{ type: 'Event', id: 'event', content: { t: '*', k: 'x' } }]);
      await seen;
      slowest = Math.max(slowest, performance.now() - started);
      assert.equal(two.deps.ledger.directory.cursor, i);
    }
    assert.ok(slowest < 200, `${slowest} ms: sooner than it looks by itself`);
    assert.deepEqual(failures, []);
  });

  it('go on where the manifest allows no channels', async () => {
    const failures: unknown[] = [];
    const stop = await startFanOut({
      ledger: two.deps.ledger,
      cache: { ...cache, subscribe: refuse, publish: refuse },
      replica: 'two',
      onFailure: (error) => failures.push(error),
    });
    await two.deps.ledger.commit([{ type: 'Event', id: 'event', content: { t: '*', k: 'x' } }]);
    await sleep(20);
    assert.equal(failures.length, 2);
    await stop();
  });

  it('lose nothing where a hint is lost, and believe none that is invented', async () => {
    const mute = { ...cache, publish: () => Promise.resolve() };
    const given = { cache: mute, onFailure: () => undefined };
    stops.push(await startFanOut({ ...given, ledger: two.deps.ledger, replica: 'two' }));
    await cache.publish('log', new Uint8Array([1, 2, 3]));
    assert.equal(two.deps.ledger.directory.cursor, 0);
    await one.deps.ledger.commit([{ type: 'Event', id: 'event', content: { t: '*', k: 'x' } }]);
    await sleep(600);
    assert.equal(two.deps.ledger.directory.cursor, 1);
  });
});
