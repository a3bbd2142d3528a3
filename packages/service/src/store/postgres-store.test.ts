import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openPostgresStore } from './postgres-store.ts';
import { postgresMissing, startPostgres, type PostgresServer } from './postgres-server.test.ts';
import { entryAt, storeContract, type Place } from './store-contract.test.ts';

const skip = postgresMissing;
const START = { position: 0, hash: new Uint8Array(0) };
let server: PostgresServer;
let schemas = 0;

before(() => {
  if (skip === false) server = startPostgres();
});
after(() => {
  if (skip === false) server.remove();
});

async function makePlace(): Promise<Place> {
  const schema = `s${++schemas}`;
  return {
    open: () => openPostgresStore({ url: server.url, schema }),
    remove: async () => {
      server.sql(`DROP SCHEMA ${schema} CASCADE`);
    },
  };
}

storeContract('PostgreSQL', makePlace, { skip });

describe('openPostgresStore', { skip }, () => {
  const schema = 'shared';
  const open = () => openPostgresStore({ url: server.url, schema });

  it('is opened by several processes at once, and creates its tables once', async () => {
    const stores = await Promise.all([open(), open(), open()]);
    for (const store of stores) assert.deepEqual(await store.head(), START);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('lets writers of two connections append one after the other, each behind the head', async () => {
    const [one, two] = await Promise.all([open(), open()]);
    let conflicts = 0;
    const write = async (store: typeof one, count: number): Promise<void> => {
      for (let written = 0; written < count; ) {
        const head = await store.head();
        const entries = [entryAt(head.position + 1)];
        try {
          await store.commit({ append: { after: head, entries } });
          written += 1;
        } catch (error) {
          assert.equal((error as { code: string }).code, 'conflict');
          conflicts += 1;
        }
      }
    };
    await Promise.all([write(one, 20), write(two, 20)]);
    assert.equal((await one.head()).position, 40);
    assert.ok(conflicts > 0, 'they met');
    await Promise.all([one.close(), two.close()]);
  });

  it('never deadlocks two writers that change the same values in another order', async () => {
    const [one, two] = await Promise.all([open(), open()]);
    const keys = ['x', 'y'];
    await one.commit({
      values: keys.map((key) => ({ key, version: 0, value: new Uint8Array([0]) })),
    });
    for (let version = 1; version <= 10; version += 1) {
      const change = (order: readonly string[]) =>
        order.map((key) => ({ key, version, value: new Uint8Array([version]) }));
      const outcomes = await Promise.allSettled([
        one.commit({ values: change(keys) }),
        two.commit({ values: change(keys.toReversed()) }),
      ]);
      assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    }
    await Promise.all([one.close(), two.close()]);
  });

  it('syncs each commit to the disk', async () => {
    const store = await open();
    server.sql(`ALTER ROLE cloister SET synchronous_commit = off`);
    const other = await open();
    // What a session of the store sees, whatever the role's default is.
    server.sql(`
      CREATE FUNCTION shared.check_sync() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('synchronous_commit') <> 'on' THEN RAISE EXCEPTION 'not durable'; END IF;
        RETURN NEW; END $$`);
    server.sql(`CREATE TRIGGER t BEFORE INSERT ON shared.marker
      FOR EACH ROW EXECUTE FUNCTION shared.check_sync()`);
    await other.commit({ markers: [{ marker: new Uint8Array([1]), until: 1 }] });
    server.sql('DROP TRIGGER t ON shared.marker');
    server.sql(`ALTER ROLE cloister RESET synchronous_commit`);
    await Promise.all([store.close(), other.close()]);
  });

  it('says that the disk is full when the server says so', async () => {
    const store = await open();
    server.sql(`CREATE FUNCTION shared.no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$`);
    server.sql(`CREATE TRIGGER no_room BEFORE INSERT ON shared.entry
      FOR EACH ROW EXECUTE FUNCTION shared.no_room()`);
    const head = await store.head();
    const entries = [entryAt(head.position + 1)];
    await assert.rejects(store.commit({ append: { after: head, entries } }), { code: 'full' });
    server.sql('DROP TRIGGER no_room ON shared.entry');
    assert.deepEqual(await store.head(), head);
    await store.commit({ append: { after: head, entries } });
    await store.close();
  });

  it('is unavailable while the server is gone, and works when it is back, with all it acknowledged', async () => {
    const store = await open();
    const head = await store.head();
    const entry = entryAt(head.position + 1);
    await store.commit({ append: { after: head, entries: [entry] } });
    // As a power cut: nothing is written that was not written at the commit.
    server.stop();
    await assert.rejects(store.head(), { name: 'StoreError', code: 'unavailable' });
    await assert.rejects(store.commit({ markers: [{ marker: new Uint8Array([2]), until: 1 }] }), {
      code: 'unavailable',
    });
    server.start();
    assert.deepEqual(await store.entry(entry.position), entry);
    await store.close();
  });

  it('is unavailable where no server is', async () => {
    const url = 'postgres://cloister@localhost/postgres?host=/nonexistent';
    await assert.rejects(openPostgresStore({ url }), { code: 'unavailable' });
  });

  it('takes no schema that is not a plain name', async () => {
    const injected = { url: server.url, schema: 'x; DROP TABLE y' };
    await assert.rejects(openPostgresStore(injected), RangeError);
  });
});
