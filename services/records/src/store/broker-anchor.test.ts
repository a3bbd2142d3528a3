import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeHex } from '@cloister/bytes';
import { memoryCounter } from '../../tools/test-counter.ts';
import {
  addPatient,
  copyStore,
  memoryServer,
  openReplica,
  sleep,
} from '../../tools/test-replicas.ts';
import { createBrokerAnchor } from './broker-anchor.ts';
import { RolledBackError } from './rolled-back-error.ts';

const hash = new Uint8Array(32).fill(9);

describe('createBrokerAnchor', () => {
  it('is at nothing until the counter moves, and moves from where it is only', async () => {
    const { client, state } = memoryCounter();
    const anchor = createBrokerAnchor({ client });
    assert.equal(await anchor.read(), undefined);
    const first = { value: 4, hash };
    assert.equal(await anchor.advance(undefined, first), true);
    assert.deepEqual(await anchor.read(), first);
    assert.equal(state.digest, encodeHex(hash));
    assert.equal(await anchor.advance(undefined, { value: 9, hash }), false);
    assert.ok(!('reset' in anchor), 'that is the party to say, to its broker');
  });

  it('takes no receipt that does not count, and none at all, for an anchor', async () => {
    const { client, state } = memoryCounter();
    const anchor = createBrokerAnchor({ client });
    for (const [fails, code] of [
      ['sender_foreign', 'bad_answer'],
      ['unreachable', 'unreachable'],
    ] as const) {
      state.fails = fails;
      await assert.rejects(anchor.read(), { name: 'UnavailableError', code });
      await assert.rejects(anchor.advance(undefined, { value: 1, hash }), { code });
    }
    delete state.fails;
    const other = createBrokerAnchor({ client, counter: 'other' });
    await assert.rejects(other.read(), { code: 'bad_answer' });
  });

  it('anchors the one log of two replicas, whoever comes first', async () => {
    const { client, state } = memoryCounter();
    const server = memoryServer();
    const options = { anchor: createBrokerAnchor({ client }), anchorWithin: 5 };
    const replicas = await Promise.all([1, 2].map(() => openReplica(server.connect(), options)));
    await Promise.all(
      replicas.map(async (ledger, n) => {
        for (let i = 0; i < 20; i++) {
          await addPatient(ledger, `p${n}-${i}`);
          await sleep(2);
        }
      }),
    );
    for (const ledger of replicas) await ledger.close();
    assert.equal(state.value, 41);
  });

  it('refuses a restored database until the party has set its broker right', async () => {
    const { client, state } = memoryCounter();
    const anchor = createBrokerAnchor({ client });
    const server = memoryServer();
    const ledger = await openReplica(server.connect(), { anchor });
    await addPatient(ledger, 'p1');
    const older = await copyStore(server.store);
    await addPatient(ledger, 'p2');
    await ledger.close();
    const refusal = await openReplica(older, { anchor }).then(
      () => assert.fail('it started'),
      (error: unknown) => error,
    );
    assert.ok(refusal instanceof RolledBackError);
    assert.equal(refusal.code, 'log_truncated');
    assert.deepEqual([refusal.anchored.value, refusal.found.position], [3, 1]);
    assert.equal(refusal.isOwnAnchor, false);
    // An order of the party counts at the broker only.
    const to = { value: 2, hash: refusal.found.hash };
    const order = { from: refusal.anchored, to };
    await assert.rejects(openReplica(older, { anchor, order }), RolledBackError);
    Object.assign(state, { value: 2, digest: encodeHex(to.hash) });
    const again = await openReplica(older, { anchor });
    await addPatient(again, 'p3');
    await again.close();
    assert.equal(state.value, 3);
    // What was given up does not come back.
    await assert.rejects(openReplica(server.connect(), { anchor }), { code: 'entry_replaced' });
  });

  it('does not start without its broker, and runs on without it', async () => {
    const { client, state } = memoryCounter();
    const anchor = createBrokerAnchor({ client });
    const server = memoryServer();
    state.fails = 'unreachable';
    await assert.rejects(openReplica(server.connect(), { anchor }), { code: 'unreachable' });
    delete state.fails;
    const failures: unknown[] = [];
    const ledger = await openReplica(server.connect(), {
      anchor,
      anchorWithin: 5,
      onFailure: (error) => failures.push(error),
    });
    state.fails = 'unreachable';
    await addPatient(ledger, 'p1');
    await sleep(30);
    assert.ok(failures.length > 0);
    delete state.fails;
    await addPatient(ledger, 'p2');
    await sleep(30);
    assert.equal(state.value, 3);
    await ledger.close();
  });

  it('lets no answer leave that it cannot anchor, where the manifest says so', async () => {
    const { client, state } = memoryCounter();
    const server = memoryServer();
    const anchor = createBrokerAnchor({ client });
    const ledger = await openReplica(server.connect(), { anchor, anchorWithin: 'answer' });
    await addPatient(ledger, 'p1');
    assert.equal(state.value, 2);
    state.fails = 'unreachable';
    await assert.rejects(addPatient(ledger, 'p2'), { code: 'unreachable' });
    delete state.fails;
    await addPatient(ledger, 'p3');
    assert.equal(state.value, 4);
    await ledger.close();
  });
});
