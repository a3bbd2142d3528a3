import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { encodeUtf8 } from '@cloister/bytes';
import { openSqliteStore, type Store } from '@cloister/service';
import { createStateSeal } from '../keys/state-seal.ts';
import { random } from '../scene.test.ts';
import { encodeEvent, parseEvent, type BrokerEvent } from './broker-event.ts';
import { Journal } from './journal.ts';

const KEY = random(32);
const started: BrokerEvent = { event: 'initialised', party: 'hospital', brokerKey: 'A'.repeat(43) };
const moved = (value: number): BrokerEvent => ({
  event: 'counter-advanced',
  name: 'records-log',
  value,
  digest: 'ab'.repeat(32),
  service: 'records',
});

function journalOf(store: Store, party = 'hospital', now = () => 1000): Journal {
  return new Journal({ store, seal: createStateSeal(KEY, party, random), now });
}
const append = (journal: Journal, ...events: BrokerEvent[]) =>
  journal.append(() => ({ events, result: undefined }));

const advance = (journal: Journal) =>
  journal.append((state) => {
    const value = state.counter('records-log').value + 1;
    return { events: [moved(value)], result: value };
  });

/** A store on a file, to be changed by a host between two openings. */
async function onDisk(
  work: (place: {
    open: () => Store;
    alter: (change: (database: DatabaseSync) => void) => void;
  }) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-journal-'));
  const file = join(folder, 'broker.db');
  try {
    await work({
      open: () => openSqliteStore(file),
      alter: (change) => {
        const database = new DatabaseSync(file);
        change(database);
        database.close();
      },
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('Journal', () => {
  it('gives the same state, tree and head after it was opened again', async () => {
    await onDisk(async ({ open }) => {
      const store = open();
      const journal = journalOf(store);
      await append(journal, started, moved(1));
      await append(journal, moved(2));
      await store.close();
      const again = open();
      const reopened = journalOf(again);
      await reopened.refresh();
      assert.equal(reopened.tree.size, 3);
      assert.deepEqual(reopened.tree.root(), journal.tree.root());
      assert.equal(reopened.state.counter('records-log').value, 2);
      assert.equal(reopened.state.last, 1000);
      await again.close();
    });
  });

  it('does not run behind its own last event', async () => {
    let clock = 2000;
    const store = openSqliteStore(':memory:');
    const journal = journalOf(store, 'hospital', () => clock);
    await append(journal, started);
    clock = 500;
    assert.equal(journal.now(), 2000);
    await append(journal, moved(1));
    assert.equal(journal.state.last, 2000);
    await store.close();
  });

  for (const [why, change] of [
    [
      'an entry was changed',
      (database: DatabaseSync) => {
        const content = encodeEvent({ ...moved(9), at: 1000 });
        database.prepare('UPDATE entry SET content = ? WHERE position = 2').run(content);
      },
    ],
    [
      'the newest entry is gone',
      (d: DatabaseSync) => d.exec('DELETE FROM entry WHERE position = 3'),
    ],
    [
      'an entry in between is gone',
      (d: DatabaseSync) => d.exec('DELETE FROM entry WHERE position = 2'),
    ],
    [
      'two entries were swapped',
      (d: DatabaseSync) =>
        d.exec(`UPDATE entry SET position = 9 WHERE position = 2;
          UPDATE entry SET position = 2 WHERE position = 3;
          UPDATE entry SET position = 3 WHERE position = 9;`),
    ],
    [
      'the sealed head was changed',
      (d: DatabaseSync) =>
        d.exec(`UPDATE value SET value = zeroblob(length(value)) WHERE key = 'head'`),
    ],
    [
      'the sealed head is gone',
      (d: DatabaseSync) => d.exec(`UPDATE value SET value = NULL WHERE key = 'head'`),
    ],
  ] as const)
    it(`refuses a log in which ${why}`, async () => {
      await onDisk(async ({ open, alter }) => {
        const store = open();
        await append(journalOf(store), started, moved(1), moved(2));
        await store.close();
        alter(change);
        const again = open();
        await assert.rejects(journalOf(again).refresh(), { name: 'TamperedError' });
        await again.close();
      });
    });

  it('refuses an older sealed head beside the newer log', async () => {
    await onDisk(async ({ open, alter }) => {
      const store = open();
      const journal = journalOf(store);
      await append(journal, started);
      const old = await store.value('head');
      await append(journal, moved(1));
      await store.close();
      alter((database) =>
        database.prepare(`UPDATE value SET value = ? WHERE key = 'head'`).run(old.value ?? null),
      );
      const again = open();
      const reopened = journalOf(again);
      // The whole as it was: nothing in it says that there was more. Against that stands the witness.
      await reopened.refresh();
      assert.equal(reopened.tree.size, 1);
      // But the log that is there goes on behind it, so nothing can be written.
      await assert.rejects(append(reopened, moved(1)), { code: 'busy' });
      await again.close();
    });
  });

  it("refuses another party's state, and that of another key", async () => {
    const store = openSqliteStore(':memory:');
    await append(journalOf(store), started);
    await assert.rejects(journalOf(store, 'diagnostics').refresh(), { name: 'TamperedError' });
    const seal = createStateSeal(random(32), 'hospital', random);
    const other = new Journal({ store, seal, now: () => 0 });
    await assert.rejects(other.refresh(), { name: 'TamperedError' });
    await store.close();
  });

  it('lets two processes on one store decide one after the other', async () => {
    const store = openSqliteStore(':memory:');
    const [one, two] = [journalOf(store), journalOf(store)];
    await append(one, started);
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => advance(i % 2 === 0 ? one : two)),
    );
    assert.deepEqual(
      results.toSorted((a, b) => a - b),
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    await one.refresh();
    await two.refresh();
    assert.deepEqual(one.tree.root(), two.tree.root());
    await store.close();
  });

  it('takes a request once: its marker is written with its effect', async () => {
    const store = openSqliteStore(':memory:');
    const journal = journalOf(store);
    await append(journal, started);
    const markers = [{ marker: encodeUtf8('a request'), until: 9e12 }];
    const step = { events: [moved(1)], markers, result: undefined };
    await journal.append(() => step);
    await assert.rejects(
      journal.append(() => step),
      { code: 'replayed' },
    );
    assert.equal(journal.tree.size, 2);
    await store.close();
  });

  it('goes on after a failure, with what was there before', async () => {
    const store = openSqliteStore(':memory:');
    const journal = journalOf(store);
    await append(journal, started);
    await assert.rejects(
      journal.append(() => {
        throw new RangeError('decided otherwise');
      }),
      RangeError,
    );
    await append(journal, moved(1));
    assert.equal(journal.tree.size, 2);
    await store.close();
  });
});

describe('parseEvent', () => {
  it('reads what encodeEvent wrote, and nothing else', () => {
    const bytes = encodeEvent({ ...moved(1), at: 5 });
    assert.deepEqual(parseEvent(bytes), { ...moved(1), at: 5 });
    const text = new TextDecoder().decode(bytes);
    for (const changed of [
      text.slice(0, -1),
      text.replace('"at":5', '"at":-5'),
      text.replace('"event":"counter-advanced"', '"event":"counter-stopped"'),
      text.replace('"value":1', '"value":1,"more":1'),
      text.replace('"value":1', '"value":"1"'),
      text.replace('"event":"counter-advanced",', ''),
      '[]',
      'null',
      '',
    ])
      assert.throws(() => parseEvent(encodeUtf8(changed)), { name: 'MalformedError' }, changed);
  });
});
