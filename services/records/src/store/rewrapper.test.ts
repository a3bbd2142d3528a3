import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sealObject } from '@cloister/sealing';
import type { Store } from '@cloister/service';
import {
  add,
  assertReadable,
  assertReadableByTwo,
  BOTH,
  databaseKinds,
  one,
  open,
  placeOf,
  tampered,
  three,
  two,
  wrapVersions,
  written,
} from '../../tools/test-databases.ts';
import { close, random, unavailable } from '../../tools/test-replicas.ts';
import { REWRAP } from './directory.ts';
import type { Ledger } from './ledger.ts';

/** More than one transaction of the rewrapper takes. */
const MANY = 150;
const names = Array.from({ length: MANY }, (_, i) => `p${i}`);

for (const kind of databaseKinds()) {
  describe(`rewrapping in ${kind.kind}`, { skip: kind.skip }, () => {
    it('leaves nothing that the older tenant key opens, and all of it to the newer one', async () => {
      const database = await written(kind, names);
      const ledger = await open(database);
      assert.deepEqual(await ledger.rewrap(), { version: 2, rewrapped: MANY + 3, remaining: 0 });
      assert.equal(ledger.directory.rewrappedTo, 2);
      assert.equal(ledger.head.position, MANY + 1);
      assert.ok((await wrapVersions(database)).every((version) => version === 2));
      // Asked for again, it finds nothing to do, and says nothing twice.
      assert.deepEqual(await ledger.rewrap(), { version: 2, rewrapped: 0, remaining: 0 });
      assert.equal(ledger.head.position, MANY + 1);
      await ledger.close();
      await assert.rejects(open(database, { tenantKeys: [one] }), tampered('tenant_key_unknown'));
      await assertReadableByTwo(database, names);
    });

    it('brings wraps of the first form along', async () => {
      const database = await kind.make();
      const raw = random(32);
      const first = await Promise.all(
        ['log', 'service', 'cursor'].map(async (id) => {
          const ref = { tenant: 'lamna', type: 'wrapped-key', id, version: 1 };
          const value = await sealObject(one.key, ref, raw, { random });
          return { key: `key/${id}`, version: 0, value };
        }),
      );
      await database.store.commit({ values: first });
      const ledger = await open(database);
      await add(ledger, 'p1');
      assert.deepEqual(await ledger.rewrap(), { version: 2, rewrapped: 3, remaining: 0 });
      await ledger.close();
      await assertReadableByTwo(database, ['p1']);
    });

    for (const isWritten of [true, false])
      it(`goes on where it broke off (the last transaction was written: ${isWritten})`, async () => {
        const database = await written(kind, names);
        let commits = 0;
        const broken = await open(database, { patienceMs: 0 }, {
          commit: async (batch: Parameters<Store['commit']>[0]) => {
            commits += 1;
            if (commits < 2 || isWritten) await database.store.commit(batch);
            if (commits >= 2) throw unavailable();
          },
        } satisfies Partial<Store>);
        await assert.rejects(broken.rewrap(), { code: 'unavailable' });
        await broken.close();
        const before = await wrapVersions(database);
        assert.equal(before.filter((version) => version === 2).length, isWritten ? 128 : 64);
        const ledger = await open(database);
        await assertReadable(ledger, names);
        const { rewrapped, remaining } = await ledger.rewrap();
        assert.deepEqual([rewrapped, remaining], [MANY + 3 - (isWritten ? 128 : 64), 0]);
        await ledger.close();
        await assertReadableByTwo(database, names);
      });

    it('is done once by two replicas that begin at the same moment', async () => {
      const database = await written(kind, names);
      const replicas = [await open(database), await open(database)] as const;
      const done = await Promise.all(replicas.map((ledger) => ledger.rewrap()));
      for (const { remaining } of done) assert.equal(remaining, 0);
      assert.equal(
        done.reduce((sum, { rewrapped }) => sum + rewrapped, 0),
        MANY + 3,
      );
      for (const ledger of replicas) {
        await assertReadable(ledger, names);
        assert.equal(ledger.directory.versionOf(REWRAP.type, REWRAP.id), 1);
      }
      await close(...replicas);
      await assertReadableByTwo(database, names);
    });

    it('takes in a patient whom a replica behind admits meanwhile', async () => {
      const database = await written(kind, names);
      const behind = await open(database, { tenantKeys: [one] });
      let late = 0;
      const ledger = await open(database, {}, {
        commit: async (batch: Parameters<Store['commit']>[0]) => {
          // Before each transaction, also before the one that would say that nothing is left.
          if (late < 6) await add(behind, `late${late++}`);
          await database.store.commit(batch);
        },
      } satisfies Partial<Store>);
      const { remaining, rewrapped } = await ledger.rewrap();
      assert.deepEqual([remaining, rewrapped, late], [0, MANY + 3 + 6, 6]);
      await close(ledger, behind);
      await assertReadableByTwo(database, [
        ...names,
        ...Array.from({ length: 6 }, (_, i) => `late${i}`),
      ]);
    });

    it('lets no replica make a key under an older tenant key when nothing is left', async () => {
      const database = await written(kind, ['p1']);
      const behind = await open(database, { tenantKeys: [one] });
      await behind.ownKey('service');
      let asked = 0;
      const renewing = await open(database, {
        tenantKeys: [one],
        renewKeys: async () => {
          asked += 1;
          return [two];
        },
      });
      await renewing.ownKey('service');
      const ledger = await open(database);
      await ledger.rewrap();
      await assert.rejects(add(behind, 'p2'), { name: 'UnavailableError', code: 'not_ready' });
      // What is there already can still be read by the one that is behind.
      await assertReadable(behind, ['p1']);
      behind.useTenantKeys(BOTH);
      await add(renewing, 'p3');
      assert.equal(asked, 1);
      await add(behind, 'p2');
      await close(behind, renewing, ledger);
      await assertReadableByTwo(database, ['p1', 'p2', 'p3']);
    });

    it('is not begun before every replica has the tenant key', async () => {
      const database = await written(kind, ['p1']);
      const at = new Date('2026-11-24T12:00:00Z');
      let now = new Date(at.getTime() - 1);
      const ledger = await open(database, { now: () => now });
      const notBefore = at;
      assert.deepEqual(await ledger.rewrap({ notBefore }), {
        version: 2,
        rewrapped: 0,
        remaining: 4,
      });
      assert.deepEqual(await wrapVersions(database), [1, 1, 1, 1]);
      now = at;
      assert.equal((await ledger.rewrap({ notBefore })).remaining, 0);
      await ledger.close();
    });

    it('ends between two transactions where the ledger is closed', async () => {
      const database = await written(kind, names);
      const ledger = await open(database);
      const [{ remaining }] = await Promise.all([ledger.rewrap(), ledger.close()]);
      assert.ok(remaining > 0);
      const again = await open(database);
      assert.equal(again.directory.rewrappedTo, 0);
      assert.equal((await again.rewrap()).remaining, 0);
      await again.close();
    });

    it('writes what else is to be said in the same transaction', async () => {
      const database = await written(kind, ['p1']);
      const ledger = await open(database);
      const audit = { type: 'AuditEvent', id: 'a1', follows: 0 };
      await ledger.rewrap({
        alsoWrite: ({ version }) => [{ ...audit, content: { version } }],
      });
      assert.equal((await ledger.read('AuditEvent', 'a1'))?.['version'], 2);
      await ledger.rewrap({ alsoWrite: () => assert.fail('said already') });
      await ledger.close();
    });
  });

  describe(`a replica that is behind in ${kind.kind}`, { skip: kind.skip }, () => {
    it('gets the tenant key once for all who wait for it', async () => {
      const database = await written(kind, []);
      const ledger = await open(database);
      let asked = 0;
      const renewKeys = async () => {
        asked += 1;
        await new Promise((resolve) => setTimeout(resolve, 50));
        return BOTH;
      };
      await Promise.all(names.map((id) => add(ledger, id)));
      await ledger.rewrap();
      // Its start meets wraps of the second key at once, before anything else is known of it.
      const behind = await open(database, { tenantKeys: [one], renewKeys });
      assert.equal(asked, 1);
      await assertReadable(behind, names);
      await close(ledger, behind);
    });

    it('does not take a broker that cannot be reached for a changed database', async () => {
      const database = await written(kind, ['p1']);
      const told: unknown[] = [];
      let away = true;
      const behind = await open(database, {
        tenantKeys: [one],
        onTampered: (error) => told.push(error),
        renewKeys: () => (away ? Promise.reject(unavailable()) : Promise.resolve(BOTH)),
      });
      const ledger = await open(database);
      await add(ledger, 'p2');
      await assert.rejects(behind.refresh(), { code: 'unavailable' });
      away = false;
      await assertReadable(behind, ['p1', 'p2']);
      assert.deepEqual(told, []);
      await close(ledger, behind);
    });

    it('starts while another one wraps anew what it has just read', async () => {
      const database = await written(kind, ['p1']);
      const ledger = await open(database);
      const patientKey = placeOf(ledger, 'p1');
      const { promise: keysRead, resolve: onKeysRead } = Promise.withResolvers<void>();
      const started = await open(
        database,
        {},
        {
          async *entries(from: number) {
            const first = await database.store.entry(from);
            if (first === undefined) return;
            yield first;
            // Its keys are read now; then the other replica ends its work.
            await keysRead;
            await ledger.rewrap();
            yield* database.store.entries(from + 1);
          },
          value: async (key: string) => {
            const value = await database.store.value(key);
            if (key === patientKey) setTimeout(() => onKeysRead());
            return value;
          },
        },
      );
      await ledger.refresh();
      assert.equal(started.directory.rewrappedTo, 2);
      await assertReadable(started, ['p1']);
      await close(ledger, started);
    });

    it('reads a wrap while another one wraps it anew and says that nothing is left', async () => {
      const database = await written(kind, ['p1']);
      const ledger = await open(database);
      let isOpen = false;
      const reading: Ledger = await open(
        database,
        {},
        {
          value: async (key) => {
            const value = await database.store.value(key);
            if (key !== 'key/cursor' || !isOpen) return value;
            await ledger.rewrap();
            await reading.refresh();
            return value;
          },
        },
      );
      isOpen = true;
      assert.equal((await reading.ownKey('cursor')).id, 'cursor');
      assert.equal(reading.directory.rewrappedTo, 2);
      await close(ledger, reading);
    });

    it('wraps by a third key, and no longer by the second', async () => {
      const database = await written(kind, ['p1']);
      const ledger = await open(database);
      await ledger.rewrap();
      ledger.useTenantKeys([three, two]);
      await add(ledger, 'p2');
      // A clock that was set back chooses the second again; what wraps never goes back.
      ledger.useTenantKeys([two, three]);
      await add(ledger, 'p3');
      assert.throws(() => ledger.useTenantKeys([]), { name: 'ConfigError' });
      assert.deepEqual(await ledger.rewrap(), { version: 3, rewrapped: 4, remaining: 0 });
      await ledger.close();
      const again = await open(database, { tenantKeys: [three] });
      await assertReadable(again, ['p1', 'p2', 'p3']);
      await again.close();
    });
  });
}
