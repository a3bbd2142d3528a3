import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { TamperedError } from '@cloister/sealing';
import type { Store } from '@cloister/service';
import { client, newFolder, type Running, signIn, startOn, textOf } from '../tools/test-records.ts';
import { memoryServer, type MemoryServer } from '../tools/test-replicas.ts';

/** Reads an event stream piece by piece. */
class Listener {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #text = '';

  constructor(response: Response) {
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    this.#reader = response.body?.getReader() ?? assert.fail('no body');
  }

  /** Reads until the text so far has this many events, and gives their ids. */
  async ids(count: number): Promise<number[]> {
    for (;;) {
      const found = [...this.#text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
      if (found.length >= count) return found;
      const { done, value } = await this.#reader.read();
      assert.equal(done, false, 'the stream ended');
      this.#text += new TextDecoder().decode(value);
    }
  }

  get text(): string {
    return this.#text;
  }

  /** Reads to the end. */
  async end(): Promise<void> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return;
      this.#text += new TextDecoder().decode(value);
    }
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}

const happen = (at: Running, count = 1) =>
  at.deps.ledger.commit(
    Array.from({ length: count }, () => ({
      type: 'Event',
      id: 'event',
      content: { t: 'Task/1', v: '1', k: 'phase' },
    })),
  );

describe('the stream of events', () => {
  let server: MemoryServer;
  let database: Store;
  let one: Running;
  let two: Running;
  let token: string;
  let listeners: Listener[] = [];

  beforeEach(async () => {
    server = memoryServer();
    database = server.store;
    const folder = newFolder();
    one = await startOn(server.connect(), folder, true);
    two = await startOn(
      server.lead(() => database),
      folder,
      true,
    );
    const { json } = await client(one)('POST', '/session', {
      body: JSON.stringify({ user: 'clerk', password: 'clerk-password' }),
    });
    token = textOf(json['token']);
  });
  afterEach(async () => {
    await Promise.all(listeners.map((listener) => listener.cancel().catch(() => undefined)));
    listeners = [];
    await one.close();
    await two.close();
  });

  const ask = async (at: Running, query = '', headers: Record<string, string> = {}) =>
    at.app.request(`https://records/events${query}`, {
      headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream', ...headers },
    });
  async function listen(...args: Parameters<typeof ask>): Promise<Listener> {
    const listener = new Listener(await ask(...args));
    listeners.push(listener);
    return listener;
  }
  it('tells what happens as it happens, whichever replica did it', async () => {
    await happen(one);
    const listener = await listen(two);
    assert.deepEqual(await listener.ids(1), [1]);
    assert.match(listener.text, /^retry: 2000\n\nid: 1\nevent: resource\ndata: \{"t":"Task\/1"/);
    await happen(two);
    assert.deepEqual(await listener.ids(2), [1, 2]);
    const started = performance.now();
    await happen(one);
    assert.deepEqual(await listener.ids(3), [1, 2, 3]);
    assert.ok(performance.now() - started < 1000);
    assert.ok(!listener.text.includes('meta'));
  });

  it('goes on where its reader stopped, at any replica', async () => {
    await happen(one, 5);
    assert.deepEqual(await (await listen(two, '?cursor=3')).ids(2), [4, 5]);
    assert.deepEqual(await (await listen(two, '?cursor=1', { 'last-event-id': '4' })).ids(1), [5]);
  });

  for (const [what, cursor] of [
    ['too old a cursor', 7],
    ['a cursor of another log', 9999],
  ])
    it(`says that events were missed: ${what}`, async () => {
      await happen(one, 2100);
      const listener = await listen(two, `?cursor=${cursor}`);
      assert.deepEqual(await listener.ids(1), [2100]);
      assert.match(listener.text, /event: resync\ndata: \{"t":"\*","k":"resync"\}/);
      await happen(one);
      assert.deepEqual(await listener.ids(2), [2100, 2101], 'and goes on');
    });

  it('says so to a reader that is too slow, too', async () => {
    const listener = await listen(one);
    await happen(one);
    assert.deepEqual(await listener.ids(1), [1]);
    await happen(one, 2500);
    await listener.ids(2);
    assert.match(listener.text, /id: 2501\nevent: resync/);
  });

  it('ends with its session', async () => {
    const listener = await listen(two);
    assert.equal((await client(one, token)('DELETE', '/session')).status, 204);
    await listener.end();
    assert.equal((await ask(two)).status, 401);
  });

  it('ends where the session idles: a page that listens does nothing', async () => {
    const listener = await listen(two);
    two.at = new Date(two.at.getTime() + 16 * 60_000);
    await listener.end();
  });

  it('breaks off where the log was found changed', async () => {
    const listener = await listen(two);
    await happen(one);
    await listener.ids(1);
    database = memoryServer().store;
    await assert.rejects(listener.end(), TamperedError);
  });

  it('is given to so many tabs of one person, and again when they are closed', async () => {
    for (let i = 0; i < 8; i++) await listen(two);
    assert.equal((await ask(two)).status, 429);
    await listeners[0]?.cancel();
    await listen(two);
    const other = await signIn(one, 'radiologist');
    assert.equal((await other('GET', '/events?cursor=0')).status, 200);
  });

  it('is one answer to who waits, or accepts none', async () => {
    await happen(one);
    for (const [query, headers] of [
      ['?cursor=0&wait=5', {}],
      ['?cursor=0', { accept: '*/*' }],
    ] as const) {
      const answer = await ask(two, query, headers);
      assert.match(await answer.text(), /^id: 1\n/);
    }
  });
});
