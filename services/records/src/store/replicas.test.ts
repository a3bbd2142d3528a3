import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TamperedError } from '@cloister/sealing';
import type { Batch, Store } from '@cloister/service';
import {
  copyStore,
  memoryAnchor,
  memoryServer,
  openReplica,
  random,
  unavailable,
} from '../../tools/test-replicas.ts';
import type { Ledger } from './ledger.ts';
import type { NewEntry } from './sealed-group.ts';

const patient = (id: string, family = 'Zhang'): NewEntry => ({
  type: 'Patient',
  id,
  patient: id,
  content: { resourceType: 'Patient', id, name: [{ family }] },
});
const add = (ledger: Ledger, id: string) => ledger.commit([{ ...patient(id), follows: 0 }]);
const names = ({ directory }: Ledger) => [...directory.all('Patient')].map(({ id }) => id);
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const statuses = (outcomes: readonly PromiseSettledResult<unknown>[]) =>
  outcomes.map((outcome) =>
    outcome.status === 'fulfilled' ? 'done' : (outcome.reason as { code: string }).code,
  );

const write = async (ledger: Ledger, prefix: string): Promise<void> => {
  for (let i = 0; i < 30; i++) await add(ledger, `${prefix}${i}`);
};

const change = (ledger: Ledger, name: string) =>
  ledger.commit([{ ...patient('p1', name), follows: 1 }]);

const onlyOne = (ledger: Ledger, id: string) =>
  ledger.commit([patient(id)], {
    check: (directory) => {
      if ([...directory.all('Patient')].length > 0)
        throw Object.assign(new Error(), { code: 'full' });
    },
  });

/** A ledger whose connection can be led to another store. */
async function movable(options: Parameters<typeof openReplica>[1] = {}) {
  const server = memoryServer();
  const state: { store: Store; told: TamperedError[] } = { store: server.store, told: [] };
  const ledger = await openReplica(
    server.lead(() => state.store),
    { ...options, onTampered: (error) => state.told.push(error) },
  );
  return { server, ledger, state };
}

/** Two replicas on one server. */
async function pair(): Promise<{ one: Ledger; two: Ledger; close: () => Promise<void> }> {
  const server = memoryServer();
  const [one, two] = await Promise.all([
    openReplica(server.connect()),
    openReplica(server.connect()),
  ]);
  return { one, two, close: () => close(one, two) };
}

async function close(...ledgers: readonly Ledger[]): Promise<void> {
  for (const ledger of ledgers) await ledger.close();
}

describe('replicas of the ledger', () => {
  it('begin one log together, with the same keys', async () => {
    const { one, two, ...rest } = await pair();
    await add(one, 'p1');
    await two.refresh();
    assert.deepEqual((await two.read('Patient', 'p1'))?.['name'], [{ family: 'Zhang' }]);
    await add(two, 'p2');
    await one.refresh();
    assert.deepEqual(names(one), ['p1', 'p2']);
    assert.deepEqual(one.head, two.head);
    await rest.close();
  });

  it('see within a second what another wrote, without being asked', async () => {
    const { one, two, ...rest } = await pair();
    const seen = new Promise<void>((resolve) => {
      two.onChange(resolve);
    });
    await add(one, 'p1');
    const started = performance.now();
    await Promise.race([seen, sleep(1000)]);
    assert.ok(performance.now() - started < 1000);
    assert.deepEqual(names(two), ['p1']);
    await rest.close();
  });

  it('write side by side, and lose nothing', async () => {
    const { one, two, ...rest } = await pair();
    await Promise.all([write(one, 'a'), write(one, 'b'), write(two, 'c'), write(two, 'd')]);
    await Promise.all([one.refresh(), two.refresh()]);
    for (const ledger of [one, two]) assert.equal(names(ledger).length, 120);
    assert.deepEqual(names(one), names(two));
    await rest.close();
  });

  it('let one of the writers of a version win', async () => {
    const { one, two, ...rest } = await pair();
    await add(one, 'p1');
    const outcomes = await Promise.allSettled([change(one, 'One'), change(two, 'Two')]);
    assert.deepEqual(statuses(outcomes).toSorted(), ['done', 'version_conflict']);
    await rest.close();
  });

  it('judge a commit behind what the other has just written', async () => {
    const { one, two, ...rest } = await pair();
    const outcomes = await Promise.allSettled([onlyOne(one, 'a'), onlyOne(two, 'b')]);
    assert.deepEqual(statuses(outcomes).toSorted(), ['done', 'full']);
    await rest.close();
  });

  it('do a request once, whichever of them gets it, and what waits beside it all the same', async () => {
    const { one, two, ...rest } = await pair();
    const request = random(32);
    const outcomes = await Promise.allSettled([
      one.commit([patient('a')], { request }),
      add(one, 'b'),
      two.commit([patient('c')], { request }),
      add(two, 'd'),
    ]);
    const [first, b, second, d] = statuses(outcomes);
    assert.deepEqual([first, second].toSorted(), ['done', 'replayed']);
    assert.deepEqual([b, d], ['done', 'done']);
    await Promise.all([one.refresh(), two.refresh()]);
    assert.equal(names(one).length, 3);
    await assert.rejects(two.commit([patient('e')], { request }), { code: 'replayed' });
    await rest.close();
  });
});

describe('a commit of which the database did not say what became', () => {
  const cases: [string, (store: Store, batch: Batch) => Promise<void>][] = [
    ['written, but nobody said so', (store, batch) => store.commit(batch)],
    ['not written', () => Promise.resolve()],
    [
      'written while the next try is prepared',
      async (store, batch) => {
        setTimeout(() => void store.commit(batch).catch(() => undefined), 10);
      },
    ],
    [
      'written by the time of the third try',
      async (store, batch) => {
        setTimeout(() => void store.commit(batch).catch(() => undefined), 60);
      },
    ],
  ];
  for (const [what, meddle] of cases)
    it(`is done once: ${what}`, async () => {
      const server = memoryServer();
      let breaks = 0;
      const ledger = await openReplica(
        server.connect((store) => ({
          commit: async (batch) => {
            if (breaks-- <= 0) return store.commit(batch);
            await meddle(store, batch);
            throw unavailable();
          },
        })),
      );
      for (const times of [1, 2]) {
        breaks = times;
        const request = random(32);
        const [stored] = await ledger.commit([patient(`p${times}`)], { request });
        assert.equal(stored?.version, 1);
        assert.ok(await ledger.hasRequest(request));
        await sleep(80);
        await ledger.refresh();
      }
      assert.equal(ledger.head.position, 2);
      assert.deepEqual(names(ledger), ['p1', 'p2']);
      const again = await openReplica(server.connect());
      assert.deepEqual(again.head, ledger.head);
      await close(ledger, again);
    });

  it('is not forgotten while the database is away, and refused where it stays away', async () => {
    let away = false;
    const server = memoryServer();
    const ledger = await openReplica(
      server.lead(() => {
        if (away) throw unavailable();
        return server.store;
      }),
      { patienceMs: 600 },
    );
    away = true;
    setTimeout(() => (away = false), 200);
    await add(ledger, 'p1');
    away = true;
    await assert.rejects(add(ledger, 'p2'), { code: 'unavailable' });
    away = false;
    await add(ledger, 'p2');
    assert.deepEqual(names(ledger), ['p1', 'p2']);
    await ledger.close();
  });
});

describe('a log that changes behind the replicas', () => {
  for (const shared of [true, false])
    it(`is noticed while running where it is an older one (shared: ${shared})`, async () => {
      const { server, ledger, state } = await movable({ shared });
      await add(ledger, 'p1');
      const older = await copyStore(server.store);
      await add(ledger, 'p2');
      state.store = older;
      await sleep(shared ? 600 : 2600);
      assert.deepEqual(
        state.told.map(({ code, where }) => `${code} ${where}`),
        ['log_truncated log entry 2'],
      );
      await assert.rejects(ledger.refresh(), { code: 'log_truncated' });
      await assert.rejects(ledger.read('Patient', 'p1'), { code: 'log_truncated' });
      await assert.rejects(add(ledger, 'p3'), { code: 'log_truncated' });
      // Also when the true one is back: somebody has to look at it first.
      state.store = server.store;
      await assert.rejects(ledger.refresh(), { code: 'log_truncated' });
      await ledger.close();
    });

  it('is noticed by the next request where another line was written', async () => {
    const { server, ledger, state } = await movable();
    await add(ledger, 'p1');
    const fork = await copyStore(server.store);
    await add(ledger, 'p2');
    const elsewhere = await openReplica(fork);
    for (const id of ['x', 'y']) await add(elsewhere, id);
    state.store = fork;
    await assert.rejects(ledger.refresh(), { code: 'chain_broken' });
    await ledger.close();
  });

  it('is noticed by the anchor where two replicas were given two lines', async () => {
    const { anchor, kept } = memoryAnchor();
    const server = memoryServer();
    const told: string[] = [];
    const options = {
      anchor,
      anchorWithin: 10,
      onTampered: ({ code }: TamperedError) => void told.push(code),
    };
    const one = await openReplica(server.connect(), options);
    await add(one, 'p1');
    await sleep(50);
    const fork = memoryServer(await copyStore(server.store));
    const two = await openReplica(fork.connect(), options);
    await add(one, 'p2');
    await sleep(50);
    assert.equal(kept()?.value, 3);
    await add(two, 'x');
    await sleep(50);
    assert.deepEqual(told, ['entry_replaced']);
    await assert.rejects(add(two, 'y'), { code: 'entry_replaced' });
    await add(one, 'p3');
    await close(one, two);
  });

  it('does not start where the anchored head is gone, or the anchor itself', async () => {
    const { anchor, kept } = memoryAnchor();
    const server = memoryServer();
    const ledger = await openReplica(server.connect(), { anchor });
    assert.equal(kept()?.value, 1, 'anchored before the first entry');
    await add(ledger, 'p1');
    const older = await copyStore(server.store);
    await add(ledger, 'p2');
    await ledger.close();
    assert.equal(kept()?.value, 3);
    await assert.rejects(openReplica(older, { anchor }), { code: 'log_truncated' });
    const none = { ...anchor, read: () => Promise.resolve(undefined) };
    await assert.rejects(openReplica(server.connect(), { anchor: none }), {
      code: 'entry_missing',
      where: 'anchored log head',
    });
    await close(await openReplica(server.connect(), { anchor }));
  });

  it('anchors before the answer leaves where the manifest says so', async () => {
    const { anchor, kept } = memoryAnchor();
    const server = memoryServer();
    const options = { anchor, anchorWithin: 'answer' } as const;
    const replicas = [
      await openReplica(server.connect(), options),
      await openReplica(server.connect(), options),
    ];
    for (let i = 0; i < 10; i++) {
      await Promise.all(
        replicas.map(async (ledger, n) => {
          await add(ledger, `p${i}-${n}`);
          const { positions: [position = 0] = [] } =
            ledger.directory.find('Patient', `p${i}-${n}`) ?? {};
          assert.ok((kept()?.value ?? 0) > position);
        }),
      );
    }
    await close(...replicas);
  });
});
