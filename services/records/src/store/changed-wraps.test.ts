import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { importSealingKey, TamperedError } from '@cloister/sealing';
import type { Bytes } from '@cloister/bytes';
import type { Store } from '@cloister/service';
import {
  BOTH,
  type Database,
  type DatabaseKind,
  databaseKinds,
  open,
  placeOf,
  put,
  tampered,
  two,
  valueOf,
  written,
} from '../../tools/test-databases.ts';
import { random } from '../../tools/test-replicas.ts';

const renewingIsWrong = () => assert.fail('nothing newer is claimed');

/** A database in which all is wrapped anew, and the wraps that it had before. */
async function rewritten(
  kind: DatabaseKind,
): Promise<{ database: Database; keys: string[]; old: Bytes[] }> {
  const database = await written(kind, ['p1', 'p2']);
  const ledger = await open(database);
  const keys = ['key/log', 'key/service', placeOf(ledger, 'p1'), placeOf(ledger, 'p2')];
  const old = await Promise.all(keys.map((key) => valueOf(database, key)));
  await ledger.rewrap();
  await ledger.close();
  return { database, keys, old };
}

for (const kind of databaseKinds()) {
  describe(`wraps that a host changed in ${kind.kind}`, { skip: kind.skip }, () => {
    for (const [i, what] of ['the key of the log', 'the service’s key', 'a patient’s'].entries())
      it(`are noticed at the start: ${what} is the one from before`, async () => {
        const { database, keys, old } = await rewritten(kind);
        await put(database, keys[i] ?? '', old[i]);
        await assert.rejects(open(database), tampered('entry_replaced'));
        await assert.rejects(open(database, { tenantKeys: [two] }), tampered('tenant_key_unknown'));
      });

    it('are noticed while the service runs, by the next run', async () => {
      const { database, keys, old } = await rewritten(kind);
      const told: string[] = [];
      const ledger = await open(database, { onTampered: ({ code }) => told.push(code) });
      await put(database, keys[2] ?? '', old[2]);
      // The same run for both who ask.
      const runs = [ledger.rewrap(), ledger.rewrap()];
      await Promise.all(runs.map((run) => assert.rejects(run, tampered('entry_replaced'))));
      await assert.rejects(ledger.rewrap(), tampered('entry_replaced'));
      assert.deepEqual(told, ['entry_replaced']);
      await assert.rejects(ledger.read('Patient', 'p1'), tampered('entry_replaced'));
      await ledger.close();
    });

    it('are noticed where the host puts one back that was just wrapped anew', async () => {
      const database = await written(kind, ['p1']);
      const old = await valueOf(database, 'key/log');
      const ledger = await open(database, {}, {
        commit: async (batch: Parameters<Store['commit']>[0]) => {
          await database.store.commit(batch);
          await put(database, 'key/log', old);
        },
      } satisfies Partial<Store>);
      await assert.rejects(ledger.rewrap(), tampered('entry_replaced'));
      assert.equal(ledger.directory.rewrappedTo, 0);
      await ledger.close();
    });

    it('are noticed where two are exchanged, before and after', async () => {
      for (const isDone of [false, true]) {
        const database = await written(kind, ['p1', 'p2']);
        const ledger = await open(database);
        if (isDone) await ledger.rewrap();
        const [a, b] = [placeOf(ledger, 'p1'), placeOf(ledger, 'p2')];
        const [first, second] = [await valueOf(database, a), await valueOf(database, b)];
        await put(database, a, second);
        await put(database, b, first);
        await assert.rejects(ledger.rewrap(), tampered('not_authentic'));
        await ledger.close();
        await assert.rejects(open(database), tampered('not_authentic'));
      }
    });

    it('are noticed where one is gone, though the host does not list it', async () => {
      const database = await written(kind, ['p1']);
      const ledger = await open(database);
      const key = placeOf(ledger, 'p1');
      await put(database, key);
      await assert.rejects(ledger.rewrap(), tampered('entry_missing'));
      await ledger.close();
    });

    it('are no wraps at all: noticed, and no crash', async () => {
      for (const value of [new Uint8Array(0), new Uint8Array([9, 1]), random(80)]) {
        const { database, keys } = await rewritten(kind);
        await put(database, keys[3] ?? '', value);
        await assert.rejects(open(database), TamperedError);
      }
    });

    it('claim a version that was never released: asked for once, then noticed', async () => {
      const { database, keys } = await rewritten(kind);
      const value = await valueOf(database, keys[2] ?? '');
      value[4] = 9;
      await put(database, keys[2] ?? '', value);
      let asked = 0;
      const renewKeys = async () => {
        asked += 1;
        return BOTH;
      };
      await assert.rejects(open(database, { renewKeys }), tampered('tenant_key_unknown'));
      assert.equal(asked, 1);
    });

    it('are not opened by another tenant key of the same version', async () => {
      const { database } = await rewritten(kind);
      const key = await importSealingKey('tenant', random(32));
      const options = { tenantKeys: [{ ...two, key }], renewKeys: renewingIsWrong };
      await assert.rejects(open(database, options), tampered('not_authentic'));
    });
  });
}
