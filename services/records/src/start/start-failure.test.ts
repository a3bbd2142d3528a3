import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { TamperedError } from '@cloister/sealing';
import { ConfigError, StoreError } from '@cloister/service';
import { memoryAnchor, memoryServer, copyStore, openReplica } from '../../tools/test-replicas.ts';
import { startFailure } from './start-failure.ts';
import { watchFile } from '../store/file-watch.ts';
import type { Ledger } from '../store/ledger.ts';
import { RolledBackError } from '../store/rolled-back-error.ts';

const add = (ledger: Ledger, id: string) =>
  ledger.commit([{ type: 'Patient', id, patient: id, content: { resourceType: 'Patient' } }]);
const isNow = (error: unknown): RolledBackError =>
  error instanceof RolledBackError ? error : assert.fail('another error');

/** A log that lost its last entry, and what is to be said about it. */
async function lost() {
  const { anchor, kept } = memoryAnchor();
  const server = memoryServer();
  const ledger = await openReplica(server.connect(), { anchor });
  await add(ledger, 'p1');
  const older = await copyStore(server.store);
  await add(ledger, 'p2');
  await ledger.close();
  const reset: NonNullable<typeof anchor.reset> = async (from, to) => anchor.advance(from, to);
  const own = { ...anchor, reset };
  const { anchored, found } = await openReplica(older, { anchor: own }).then(
    () => assert.fail('it started'),
    isNow,
  );
  const order = { from: anchored, to: { value: found.position + 1, hash: found.hash } };
  return { anchor: own, kept, older: memoryServer(older).connect(), order, server };
}

describe('startFailure', () => {
  it('says what to do where the database is older than what was anchored', () => {
    const state = {
      anchored: { value: 58, hash: new Uint8Array(32).fill(1) },
      found: { position: 41, hash: new Uint8Array(32).fill(2) },
    };
    const own = new RolledBackError('log_truncated', { ...state, isOwnAnchor: true });
    const { code, reason } = startFailure(own, 'ab'.repeat(32));
    assert.equal(code, 3);
    assert.match(
      reason,
      /older than what was anchored .*ends with entry 41.*entry 57 was anchored/,
    );
    assert.match(reason, /Bring back the newest copy/);
    assert.match(reason, /--restore names the file .*"from":58,"value":42,"digest":"0202/);
    const others = new RolledBackError('entry_replaced', { ...state, isOwnAnchor: false });
    const told = startFailure(others, 'ab'.repeat(32));
    assert.equal(told.code, 3);
    assert.match(told.reason, /not the one that was anchored.*log entry 57 is another/);
    assert.match(told.reason, /tells its broker so: counter records-log, reset from 58 to 42/);
  });

  it('has a code for data that were changed, and another for all else', () => {
    assert.equal(startFailure(new TamperedError('chain_broken', 'log entry 3')).code, 3);
    assert.match(startFailure(new TamperedError('chain_broken', 'x')).reason, /Nothing is served/);
    assert.deepEqual(startFailure(new ConfigError('data: needed')), {
      code: 2,
      reason: 'configuration: data: needed',
    });
    for (const code of ['in_use', 'full', 'unavailable'] as const)
      assert.equal(startFailure(new StoreError(code)).code, 2);
    assert.equal(startFailure(new TypeError('secret words')).reason.includes('secret'), false);
  });
});

describe('an order of the party', () => {
  it('lets the log go on that it names, and says that this is to be recorded', async () => {
    const { anchor, kept, older, order } = await lost();
    const ledger = await openReplica(older, { anchor, order });
    assert.equal(ledger.isRestored, true);
    assert.deepEqual(kept(), order.to);
    await ledger.close();
    // It ended before that was recorded: still to be done.
    const again = await openReplica(older, { anchor, order });
    assert.equal(again.isRestored, true);
    await add(again, 'p3');
    await again.close();
    const later = await openReplica(older, { anchor, order });
    assert.equal(later.isRestored, false, 'recorded, and over');
    await later.close();
  });

  it('is good for that state only', async () => {
    const { anchor, older, order, server } = await lost();
    const hash = new Uint8Array(32);
    for (const other of [
      { ...order, from: { ...order.from, value: 9 } },
      { ...order, from: { ...order.from, hash } },
      { ...order, to: { ...order.to, value: 1 } },
      { ...order, to: { ...order.to, hash } },
    ])
      await assert.rejects(openReplica(older, { anchor, order: other }), RolledBackError);
    const copy = await copyStore(older);
    const ledger = await openReplica(older, { anchor, order });
    await add(ledger, 'p3');
    await ledger.close();
    // Neither the older database again, nor the one that was given up.
    await assert.rejects(openReplica(copy, { anchor, order }), { code: 'log_truncated' });
    await assert.rejects(openReplica(server.connect(), { anchor, order }), {
      code: 'entry_replaced',
    });
  });

  it('may give up all entries', async () => {
    const { anchor } = await lost();
    const isEmpty = await openReplica(memoryServer().store, { anchor }).then(
      () => assert.fail('it started'),
      isNow,
    );
    assert.equal(isEmpty.found.position, 0);
    const order = { from: isEmpty.anchored, to: { value: 1, hash: isEmpty.found.hash } };
    const ledger = await openReplica(memoryServer().store, { anchor, order });
    assert.equal(ledger.isRestored, true);
    await ledger.close();
  });
});

describe('watchFile', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-watch-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'records.db');

  it('notices another file in its place, a shorter one, and none', async () => {
    writeFileSync(file, 'the first one');
    const check = watchFile(file);
    await check();
    writeFileSync(file, 'the first one has grown');
    await check();
    truncateSync(file, 5);
    await assert.rejects(check(), { name: 'TamperedError', code: 'log_truncated' });
    writeFileSync(join(folder, 'copy'), 'the first one has grown and grown');
    renameSync(join(folder, 'copy'), file);
    await assert.rejects(check(), { code: 'entry_replaced' });
    rmSync(file);
    await assert.rejects(check(), { code: 'entry_missing' });
  });
});
