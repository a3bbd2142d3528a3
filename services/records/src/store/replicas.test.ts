import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Batch, Store } from '@cloister/service';
import {
  addPatient,
  close,
  memoryServer,
  openReplica,
  patientEntry,
  patientIds,
  random,
  sleep,
  unavailable,
} from '../../tools/test-replicas.ts';
import type { Ledger } from './ledger.ts';

const statuses = (outcomes: readonly PromiseSettledResult<unknown>[]) =>
  outcomes.map((outcome) =>
    outcome.status === 'fulfilled' ? 'done' : (outcome.reason as { code: string }).code,
  );

const write = async (ledger: Ledger, prefix: string): Promise<void> => {
  for (let i = 0; i < 30; i++) await addPatient(ledger, `${prefix}${i}`);
};

const change = (ledger: Ledger, name: string) =>
  ledger.commit([{ ...patientEntry('p1', name), follows: 1 }]);

const onlyOne = (ledger: Ledger, id: string) =>
  ledger.commit([patientEntry(id)], {
    check: (directory) => {
      if ([...directory.all('Patient')].length > 0)
        throw Object.assign(new Error(), { code: 'full' });
    },
  });

/** Two replicas on one server. */
async function pair(): Promise<{ one: Ledger; two: Ledger; close: () => Promise<void> }> {
  const server = memoryServer();
  const [one, two] = await Promise.all([
    openReplica(server.connect()),
    openReplica(server.connect()),
  ]);
  return { one, two, close: () => close(one, two) };
}

describe('replicas of the ledger', () => {
  it('begin one log together, with the same keys', async () => {
    const { one, two, ...rest } = await pair();
    await addPatient(one, 'p1');
    await two.refresh();
    assert.deepEqual((await two.read('Patient', 'p1'))?.['name'], [{ family: 'Zhang' }]);
    await addPatient(two, 'p2');
    await one.refresh();
    assert.deepEqual(patientIds(one), ['p1', 'p2']);
    assert.deepEqual(one.head, two.head);
    await rest.close();
  });

  it('see within a second what another wrote, without being asked', async () => {
    const { one, two, ...rest } = await pair();
    const seen = new Promise<void>((resolve) => {
      two.onChange(resolve);
    });
    await addPatient(one, 'p1');
    const started = performance.now();
    await Promise.race([seen, sleep(1000)]);
    assert.ok(performance.now() - started < 1000);
    assert.deepEqual(patientIds(two), ['p1']);
    await rest.close();
  });

  it('write side by side, and lose nothing', async () => {
    const { one, two, ...rest } = await pair();
    await Promise.all([write(one, 'a'), write(one, 'b'), write(two, 'c'), write(two, 'd')]);
    await Promise.all([one.refresh(), two.refresh()]);
    for (const ledger of [one, two]) assert.equal(patientIds(ledger).length, 120);
    assert.deepEqual(patientIds(one), patientIds(two));
    await rest.close();
  });

  it('let one of the writers of a version win', async () => {
    const { one, two, ...rest } = await pair();
    await addPatient(one, 'p1');
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
      one.commit([patientEntry('a')], { request }),
      addPatient(one, 'b'),
      two.commit([patientEntry('c')], { request }),
      addPatient(two, 'd'),
    ]);
    const [first, b, second, d] = statuses(outcomes);
    assert.deepEqual([first, second].toSorted(), ['done', 'replayed']);
    assert.deepEqual([b, d], ['done', 'done']);
    await Promise.all([one.refresh(), two.refresh()]);
    assert.equal(patientIds(one).length, 3);
    await assert.rejects(two.commit([patientEntry('e')], { request }), { code: 'replayed' });
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
        const [stored] = await ledger.commit([patientEntry(`p${times}`)], { request });
        assert.equal(stored?.version, 1);
        assert.ok(await ledger.hasRequest(request));
        await sleep(80);
        await ledger.refresh();
      }
      assert.equal(ledger.head.position, 2);
      assert.deepEqual(patientIds(ledger), ['p1', 'p2']);
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
    await addPatient(ledger, 'p1');
    away = true;
    await assert.rejects(addPatient(ledger, 'p2'), { code: 'unavailable' });
    away = false;
    await addPatient(ledger, 'p2');
    assert.deepEqual(patientIds(ledger), ['p1', 'p2']);
    await ledger.close();
  });
});
