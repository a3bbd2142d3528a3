import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openStore, type Store } from '@cloister/service';
import {
  postgresMissing,
  startPostgres,
  type PostgresServer,
} from '../../../../packages/service/src/store/postgres-server.test.ts';
import { createStateSeal } from '../keys/state-seal.ts';
import { random } from '../scene-keys.test.ts';
import { Journal } from './journal.ts';

const advance = (journal: Journal) =>
  journal.append((state) => {
    const value = state.counter('records-log').value + 1;
    const digest = 'ab'.repeat(32);
    const event = 'counter-advanced';
    return {
      events: [{ event, name: 'records-log', value, digest, service: 'records' }],
      result: value,
    };
  });

describe('Journal on PostgreSQL', { skip: postgresMissing }, () => {
  let server: PostgresServer;
  before(() => {
    server = startPostgres();
  });
  after(() => server.remove());

  it('lets two processes of one broker decide one after the other, and keeps what they did', async () => {
    const key = random(32);
    const open = () => openStore(server.url, { schema: 'broker_hospital' });
    const journalOn = (store: Store) =>
      new Journal({ store, seal: createStateSeal(key, 'hospital', random), now: () => 1000 });
    const [one, two] = await Promise.all([open(), open()]);
    const journals = [journalOn(one), journalOn(two)] as const;
    const results = await Promise.all(
      Array.from({ length: 24 }, (_, i) => advance(journals[i % 2 === 0 ? 0 : 1])),
    );
    const sorted = results.toSorted((a, b) => a - b);
    assert.deepEqual(
      sorted,
      Array.from({ length: 24 }, (_, i) => i + 1),
    );
    await Promise.all([one.close(), two.close()]);
    // As after a power cut.
    server.stop();
    server.start();
    const third = await open();
    const reopened = journalOn(third);
    await reopened.refresh();
    assert.equal(reopened.tree.size, 24);
    assert.equal(reopened.state.counter('records-log').value, 24);
    await third.close();
  });
});
