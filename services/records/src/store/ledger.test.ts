import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { openSqliteStore, StoreError } from '@cloister/service';
import { folder, newFile, openFile } from '../../tools/test-files.ts';
import { addPatient, patientEntry, random } from '../../tools/test-replicas.ts';
import type { Ledger } from './ledger.ts';

async function checkBoth(l: Ledger): Promise<void> {
  const read = await l.read('Patient', 'p1');
  assert.deepEqual(read?.['name'], [{ family: 'Zhang' }]);
  assert.equal((await l.read('Observation', 'o1'))?.['status'], 'final');
  assert.equal(l.directory.find('Observation', 'o1')?.patient, 'p1');
  assert.equal(await l.read('Patient', 'nobody'), undefined);
}

describe('the ledger', () => {
  it('gives back what was written, before and after a restart', async () => {
    const file = newFile();
    const ledger = await openFile({ file });
    const [stored] = await addPatient(ledger, 'p1');
    assert.equal(stored?.version, 1);
    const body = { type: 'Observation', id: 'o1', patient: 'p1' };
    await ledger.commit([{ ...body, content: { resourceType: 'Observation', status: 'final' } }]);
    await checkBoth(ledger);
    await ledger.close();
    const again = await openFile({ file });
    await checkBoth(again);
    await again.close();
  });

  it('keeps versions, and refuses a write that follows another one', async () => {
    const ledger = await openFile();
    await addPatient(ledger, 'p1', 'One');
    const second = { ...patientEntry('p1', 'Two'), follows: 1 };
    await ledger.commit([second]);
    await assert.rejects(ledger.commit([second]), { code: 'version_conflict' });
    assert.deepEqual((await ledger.read('Patient', 'p1', 1))?.['name'], [{ family: 'One' }]);
    assert.deepEqual((await ledger.read('Patient', 'p1'))?.['name'], [{ family: 'Two' }]);
    assert.equal(await ledger.read('Patient', 'p1', 3), undefined);
    assert.equal(await ledger.read('Patient', 'p1', 0), undefined);
    await ledger.close();
  });

  it('lets one of many concurrent writers of the same version win', async () => {
    const ledger = await openFile();
    await addPatient(ledger, 'p1');
    const tries = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) =>
        ledger.commit([{ ...patientEntry('p1', `N${i}`), follows: 1 }]),
      ),
    );
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal(ledger.head.position, 2);
    await ledger.close();
  });

  it('writes all entries of a commit or none', async () => {
    const ledger = await openFile();
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
    const entry = patientEntry('p1');
    const ledger = await openFile({ file });
    await ledger.commit([entry], { request });
    await assert.rejects(ledger.commit([entry], { request }), { code: 'replayed' });
    await ledger.close();
    const again = await openFile({ file });
    assert.equal(await again.hasRequest(request), true);
    await assert.rejects(again.commit([entry], { request }), { code: 'replayed' });
    assert.equal(again.head.position, 1);
    await again.close();
  });

  it('does one of two simultaneous copies of a request', async () => {
    const ledger = await openFile();
    const request = random(32);
    const tries = await Promise.allSettled(
      ['a', 'b'].map((id) => ledger.commit([patientEntry(id)], { request })),
    );
    assert.deepEqual(
      tries.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    );
    await ledger.close();
  });

  it('sees earlier commits in the check of a later one', async () => {
    const ledger = await openFile();
    const addFirst = (id: string) =>
      ledger.commit([patientEntry(id)], {
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
    const ledger = await openFile({ file });
    assert.throws(() => openSqliteStore(file), { code: 'in_use' });
    await ledger.close();
  });

  it('shows the host neither names nor types', async () => {
    const file = newFile();
    const ledger = await openFile({ file });
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

describe('a full disk', () => {
  it('refuses with a clear code, keeps what was acknowledged, and works on when there is room', async () => {
    const file = newFile();
    const ledger = await openFile({ file, maxPages: 40 });
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
    const again = await openFile({ file });
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
      const ledger = await openFile({ file });
      for (const id of seen) assert.ok(await ledger.read('Patient', id), id);
      acknowledged += seen.length;
      assert.ok(ledger.head.position >= acknowledged);
      await ledger.close();
    }
    assert.ok(acknowledged >= 360);
  });
});
