import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createInterface } from 'node:readline';
import { after, describe, it } from 'node:test';
import type { Bytes, JsonObject } from '@cloister/bytes';
import { importSealingKey, TamperedError } from '@cloister/sealing';
import { openSqliteStore, type SqliteStoreOptions, StoreError } from '@cloister/service';
import { testTenantKey } from '../../tools/test-tenant-key.ts';
import type { Anchored, HeadAnchor } from './head-anchor.ts';
import { type Ledger, openLedger } from './ledger.ts';

const random = (length: number): Bytes => new Uint8Array(randomBytes(length));
const tenantKeys = [await testTenantKey()];
const folder = mkdtempSync(join(tmpdir(), 'cloister-records-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Open extends SqliteStoreOptions {
  readonly file?: string;
  readonly anchor?: HeadAnchor;
}
const now = () => new Date();
const newFile = () => join(folder, `${randomUUID()}.db`);
function open({ file = newFile(), anchor, ...options }: Open = {}): Promise<Ledger> {
  const store = openSqliteStore(file, options);
  return openLedger({
    store,
    tenant: 'lamna',
    tenantKeys,
    random,
    now,
    ...(anchor ? { anchor } : {}),
  }).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
}
const patient = (family: string): JsonObject => ({ resourceType: 'Patient', name: [{ family }] });
const addPatient = (ledger: Ledger, id: string, family = 'Zhang') =>
  ledger.commit([{ type: 'Patient', id, patient: id, content: patient(family), follows: 0 }]);
const newPatient = (id: string) => ({
  type: 'Patient',
  id,
  patient: id,
  content: patient('Z'),
});
/** An anchor in memory, and what it holds. */
function memoryAnchor(): { anchor: HeadAnchor; kept: () => Anchored | undefined } {
  let kept: Anchored | undefined;
  const anchor: HeadAnchor = {
    read: () => Promise.resolve(kept),
    advance: (before, next) => {
      if (kept?.value !== before?.value) return Promise.resolve(false);
      kept = next;
      return Promise.resolve(true);
    },
  };
  return { anchor, kept: () => kept };
}
const tampered = (code: string) => (error: unknown) =>
  error instanceof TamperedError && error.code === code;

/** Changes the closed database behind the service's back. */
function meddle(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

async function checkBoth(l: Ledger): Promise<void> {
  const read = await l.read('Patient', 'p1');
  assert.deepEqual(read?.['name'], [{ family: 'Zhang' }]);
  assert.equal((await l.read('Observation', 'o1'))?.['status'], 'final');
  assert.equal(l.directory.find('Observation', 'o1')?.patient, 'p1');
  assert.equal(await l.read('Patient', 'nobody'), undefined);
}

async function written(): Promise<string> {
  const file = newFile();
  const ledger = await open({ file });
  for (const id of ['p1', 'p2', 'p3', 'p4']) await addPatient(ledger, id, id);
  await ledger.close();
  return file;
}

describe('the ledger', () => {
  it('gives back what was written, before and after a restart', async () => {
    const file = newFile();
    const ledger = await open({ file });
    const [stored] = await addPatient(ledger, 'p1');
    assert.equal(stored?.version, 1);
    const body = { type: 'Observation', id: 'o1', patient: 'p1' };
    await ledger.commit([{ ...body, content: { resourceType: 'Observation', status: 'final' } }]);
    await checkBoth(ledger);
    await ledger.close();
    const again = await open({ file });
    await checkBoth(again);
    await again.close();
  });

  it('keeps versions, and refuses a write that follows another one', async () => {
    const ledger = await open();
    await addPatient(ledger, 'p1', 'One');
    const second = { type: 'Patient', id: 'p1', patient: 'p1', content: patient('Two') };
    await ledger.commit([{ ...second, follows: 1 }]);
    await assert.rejects(ledger.commit([{ ...second, follows: 1 }]), { code: 'version_conflict' });
    assert.deepEqual((await ledger.read('Patient', 'p1', 1))?.['name'], [{ family: 'One' }]);
    assert.deepEqual((await ledger.read('Patient', 'p1'))?.['name'], [{ family: 'Two' }]);
    assert.equal(await ledger.read('Patient', 'p1', 3), undefined);
    assert.equal(await ledger.read('Patient', 'p1', 0), undefined);
    await ledger.close();
  });

  it('lets one of many concurrent writers of the same version win', async () => {
    const ledger = await open();
    await addPatient(ledger, 'p1');
    const entry = { type: 'Patient', id: 'p1', patient: 'p1', follows: 1 };
    const tries = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) =>
        ledger.commit([{ ...entry, content: patient(`N${i}`) }]),
      ),
    );
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal(ledger.head.position, 2);
    await ledger.close();
  });

  it('writes all entries of a commit or none', async () => {
    const ledger = await open();
    await addPatient(ledger, 'p1');
    const good = { type: 'Task', id: 't1', patient: 'p1', content: { resourceType: 'Task' } };
    const bad = { ...good, id: 't2', follows: 5 };
    await assert.rejects(ledger.commit([good, bad]), { code: 'version_conflict' });
    assert.equal(ledger.directory.find('Task', 't1'), undefined);
    assert.equal(ledger.head.position, 1);
    await ledger.close();
  });

  it('does a request once, also after a restart', async () => {
    const file = newFile();
    const request = random(32);
    const entry = { type: 'Patient', id: 'p1', patient: 'p1', content: patient('Zhang') };
    const ledger = await open({ file });
    await ledger.commit([entry], { request });
    await assert.rejects(ledger.commit([entry], { request }), { code: 'replayed' });
    await ledger.close();
    const again = await open({ file });
    assert.equal(await again.hasRequest(request), true);
    await assert.rejects(again.commit([entry], { request }), { code: 'replayed' });
    assert.equal(again.head.position, 1);
    await again.close();
  });

  it('does one of two simultaneous copies of a request', async () => {
    const ledger = await open();
    const request = random(32);
    const tries = await Promise.allSettled(
      ['a', 'b'].map((id) => ledger.commit([newPatient(id)], { request })),
    );
    assert.deepEqual(
      tries.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    );
    await ledger.close();
  });

  it('sees earlier commits in the check of a later one', async () => {
    const ledger = await open();
    const addFirst = (id: string) =>
      ledger.commit([newPatient(id)], {
        check: (directory) => assert.equal([...directory.all('Patient')].length, 0),
      });
    const tries = await Promise.allSettled([addFirst('a'), addFirst('b')]);
    assert.deepEqual(
      tries.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    );
    await ledger.close();
  });

  it('is open to one process at a time', async () => {
    const file = newFile();
    const ledger = await open({ file });
    assert.throws(() => openSqliteStore(file), { code: 'in_use' });
    await ledger.close();
  });

  it('shows the host neither names nor types', async () => {
    const file = newFile();
    const ledger = await open({ file });
    await addPatient(ledger, 'patient-id-1', 'CANARY-4711');
    await ledger.close();
    const base = file.split('/').at(-1) ?? '';
    for (const name of readdirSync(folder).filter((n) => n.startsWith(base))) {
      const bytes = readFileSync(join(folder, name));
      for (const word of ['CANARY', 'Patient', 'patient-id-1'])
        assert.equal(bytes.includes(word), false, word);
    }
  });
});

describe('a database that was changed', () => {
  const cases: [string, string, string][] = [
    [
      'a flipped byte of a content',
      "UPDATE entry SET content = CAST(content || x'00' AS BLOB) WHERE position = 2",
      'chain_broken',
    ],
    ['a missing row', 'DELETE FROM entry WHERE position = 2', 'entry_missing'],
    [
      'a row in the place of another',
      'UPDATE entry SET header = (SELECT header FROM entry WHERE position = 1), content = (SELECT content FROM entry WHERE position = 1) WHERE position = 3',
      'chain_broken',
    ],
    [
      'swapped rows',
      'UPDATE entry SET position = 99 WHERE position = 1; UPDATE entry SET position = 1 WHERE position = 2; UPDATE entry SET position = 2 WHERE position = 99',
      'chain_broken',
    ],
    [
      'a missing key',
      "DELETE FROM value WHERE key NOT IN ('key/log', 'key/service')",
      'entry_missing',
    ],
    ['a log without its own keys', "DELETE FROM value WHERE key LIKE 'key/%'", 'entry_missing'],
    [
      'swapped keys',
      "UPDATE value SET value = (SELECT value FROM value WHERE key = 'key/service') WHERE key = 'key/log'",
      'not_authentic',
    ],
  ];
  for (const [what, sql, code] of cases)
    it(`is refused at start: ${what}`, async () => {
      const file = await written();
      meddle(file, sql);
      await assert.rejects(open({ file }), tampered(code));
    });

  it('is refused when read: a row that changed while the service runs', async () => {
    const file = await written();
    const store = openSqliteStore(file);
    const ledger = await openLedger({
      store,
      tenant: 'lamna',
      tenantKeys,
      random,
      now,
    });
    const entry = store.entry.bind(store);
    // The host answers with another row than it was given.
    store.entry = (position) => entry(position === 2 ? 3 : position);
    await assert.rejects(ledger.read('Patient', 'p2'), tampered('entry_replaced'));
    store.entry = async (position) => {
      const row = await entry(position);
      return row && { ...row, content: row.content.map((b, i) => (i === 60 ? b ^ 1 : b)) };
    };
    await assert.rejects(ledger.read('Patient', 'p2'), tampered('chain_broken'));
    store.entry = () => Promise.resolve(undefined);
    await assert.rejects(ledger.read('Patient', 'p2'), tampered('entry_missing'));
    store.entry = entry;
    assert.ok(await ledger.read('Patient', 'p2'));
    await ledger.close();
  });

  it('is refused at start when it ends before the anchored head', async () => {
    const { anchor, kept } = memoryAnchor();
    const file = newFile();
    const ledger = await open({ file, anchor });
    for (const id of ['p1', 'p2', 'p3']) await addPatient(ledger, id);
    await ledger.close();
    assert.equal(kept()?.value, 4);
    meddle(file, 'DELETE FROM entry WHERE position = 3');
    await assert.rejects(open({ file, anchor }), tampered('log_truncated'));
    meddle(file, 'DELETE FROM entry; DELETE FROM value');
    await assert.rejects(open({ file, anchor }), tampered('log_truncated'));
  });

  it('is refused under another tenant key', async () => {
    const file = await written();
    const store = openSqliteStore(file);
    const other = await importSealingKey('tenant', random(32));
    await assert.rejects(
      openLedger({
        store,
        tenant: 'lamna',
        tenantKeys: [{ ...(await testTenantKey()), key: other }],
        random,
        now,
      }),
      tampered('not_authentic'),
    );
    await store.close();
  });
});

describe('a full disk', () => {
  it('refuses with a clear code, keeps what was acknowledged, and works on when there is room', async () => {
    const file = newFile();
    const ledger = await open({ file, maxPages: 40 });
    const kept: string[] = [];
    const filler = 'x'.repeat(2000);
    let full: unknown;
    for (let i = 0; full === undefined; i++) {
      try {
        await addPatient(ledger, `p${i}`, filler);
        kept.push(`p${i}`);
      } catch (error) {
        full = error;
      }
    }
    assert.ok(full instanceof StoreError && full.code === 'full');
    assert.ok(kept.length > 10);
    for (const id of kept) assert.ok(await ledger.read('Patient', id));
    await assert.rejects(addPatient(ledger, 'late', filler), { code: 'full' });
    await ledger.close();
    const again = await open({ file });
    for (const id of kept) assert.ok(await again.read('Patient', id));
    await addPatient(again, 'late', filler);
    await again.close();
  });
});

describe('kill -9', () => {
  it('loses no acknowledged write', { timeout: 60_000 }, async () => {
    const file = newFile();
    let acknowledged = 0;
    for (let round = 0; round < 3; round++) {
      const script = new URL('../../tools/write-loop.ts', import.meta.url);
      const child = spawn(
        process.execPath,
        [...process.execArgv.filter((a) => a.startsWith('--conditions')), script.pathname, file],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const seen: string[] = [];
      for await (const line of createInterface(child.stdout)) {
        seen.push(line);
        if (seen.length === 120) child.kill('SIGKILL');
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      const ledger = await open({ file });
      for (const id of seen) assert.ok(await ledger.read('Patient', id), id);
      acknowledged += seen.length;
      assert.ok(ledger.head.position >= acknowledged);
      await ledger.close();
    }
    assert.ok(acknowledged >= 360);
  });
});
