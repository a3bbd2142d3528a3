import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TamperedError } from '@cloister/sealing';
import type { Store } from '@cloister/service';
import {
  addPatient,
  close,
  copyStore,
  memoryAnchor,
  memoryServer,
  openReplica,
  sleep,
} from '../../tools/test-replicas.ts';

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

describe('a log that changes behind the replicas', () => {
  for (const shared of [true, false])
    it(`is noticed while running where it is an older one (shared: ${shared})`, async () => {
      const { server, ledger, state } = await movable({ shared });
      await addPatient(ledger, 'p1');
      const older = await copyStore(server.store);
      await addPatient(ledger, 'p2');
      state.store = older;
      await sleep(shared ? 600 : 2600);
      assert.deepEqual(
        state.told.map(({ code, where }) => `${code} ${where}`),
        ['log_truncated log entry 2'],
      );
      await assert.rejects(ledger.refresh(), { code: 'log_truncated' });
      await assert.rejects(ledger.read('Patient', 'p1'), { code: 'log_truncated' });
      await assert.rejects(addPatient(ledger, 'p3'), { code: 'log_truncated' });
      // Also when the true one is back: somebody has to look at it first.
      state.store = server.store;
      await assert.rejects(ledger.refresh(), { code: 'log_truncated' });
      await ledger.close();
    });

  it('is noticed by the next request where another line was written', async () => {
    const { server, ledger, state } = await movable();
    await addPatient(ledger, 'p1');
    const fork = await copyStore(server.store);
    await addPatient(ledger, 'p2');
    const elsewhere = await openReplica(fork);
    for (const id of ['x', 'y']) await addPatient(elsewhere, id);
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
    await addPatient(one, 'p1');
    await sleep(50);
    const fork = memoryServer(await copyStore(server.store));
    const two = await openReplica(fork.connect(), options);
    await addPatient(one, 'p2');
    await sleep(50);
    assert.equal(kept()?.value, 3);
    await addPatient(two, 'x');
    await sleep(50);
    assert.deepEqual(told, ['entry_replaced']);
    await assert.rejects(addPatient(two, 'y'), { code: 'entry_replaced' });
    await addPatient(one, 'p3');
    await close(one, two);
  });

  it('does not start where the anchored head is gone, or the anchor itself', async () => {
    const { anchor, kept } = memoryAnchor();
    const server = memoryServer();
    const ledger = await openReplica(server.connect(), { anchor });
    assert.equal(kept()?.value, 1, 'anchored before the first entry');
    await addPatient(ledger, 'p1');
    const older = await copyStore(server.store);
    await addPatient(ledger, 'p2');
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
          await addPatient(ledger, `p${i}-${n}`);
          const { positions: [position = 0] = [] } =
            ledger.directory.find('Patient', `p${i}-${n}`) ?? {};
          assert.ok((kept()?.value ?? 0) > position);
        }),
      );
    }
    await close(...replicas);
  });
});
