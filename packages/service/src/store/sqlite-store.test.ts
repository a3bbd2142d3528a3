import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { openSqliteStore } from './sqlite-store.ts';
import { entryAt, storeContract, type Place } from './store-contract.test.ts';

const STORE = new URL('./sqlite-store.ts', import.meta.url).href;
const START = { position: 0, hash: new Uint8Array(0) };

function makeFolder(): { folder: string; file: string } {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-store-'));
  return { folder, file: join(folder, 'store.db') };
}

async function makePlace(): Promise<Place> {
  const { folder, file } = makeFolder();
  return {
    open: async () => openSqliteStore(file),
    remove: async () => rmSync(folder, { recursive: true }),
  };
}

storeContract('SQLite', makePlace);

const run = (script: string) =>
  promisify(execFile)(process.execPath, [
    ...process.execArgv.filter((argument) => argument.startsWith('--conditions')),
    '--disable-warning=ExperimentalWarning',
    '--input-type=module',
    '--eval',
    script,
  ]);

describe('openSqliteStore', () => {
  it('refuses a second process, and a second opening in this one', async () => {
    const { folder, file } = makeFolder();
    const store = openSqliteStore(file);
    assert.throws(() => openSqliteStore(file), { name: 'StoreError', code: 'in_use' });
    const { stdout } = await run(`
      const { openSqliteStore } = await import(${JSON.stringify(STORE)});
      try { openSqliteStore(${JSON.stringify(file)}); console.log('opened'); }
      catch (error) { console.log(error.code); }
    `);
    assert.equal(stdout.trim(), 'in_use');
    await store.close();
    await openSqliteStore(file).close();
    rmSync(folder, { recursive: true });
  });

  it('says that it is full, and keeps what was there', async () => {
    const { folder, file } = makeFolder();
    const store = openSqliteStore(file, { maxPages: 24 });
    await store.commit({ append: { after: START, entries: [entryAt(1)] } });
    const value = new Uint8Array(1 << 17);
    await assert.rejects(store.commit({ values: [{ key: 'large', version: 0, value }] }), {
      code: 'full',
    });
    assert.equal((await store.head()).position, 1);
    assert.equal((await store.value('large')).version, 0);
    await store.commit({ values: [{ key: 'small', version: 0, value: new Uint8Array(8) }] });
    await store.close();
    rmSync(folder, { recursive: true });
  });

  it('refuses a file that is no database', () => {
    const { folder, file } = makeFolder();
    writeFileSync(file, 'this is no database '.repeat(400));
    assert.throws(() => openSqliteStore(file), { code: 'corrupt' });
    rmSync(folder, { recursive: true });
  });

  it('has every acknowledged entry after kill -9', async () => {
    const { folder, file } = makeFolder();
    const writer = spawn(
      process.execPath,
      [
        ...process.execArgv.filter((argument) => argument.startsWith('--conditions')),
        '--input-type=module',
        '--eval',
        `
        const { openSqliteStore } = await import(${JSON.stringify(STORE)});
        const store = openSqliteStore(${JSON.stringify(file)});
        let after = await store.head();
        for (;;) {
          const position = after.position + 1;
          const hash = new TextEncoder().encode('h' + position);
          const entry = { position, hash, header: hash, content: hash };
          await store.commit({ append: { after, entries: [entry] } });
          after = { position, hash };
          process.stdout.write(position + '\\n');
        }`,
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    let told = '';
    writer.stdout.setEncoding('utf8').on('data', (text: string) => {
      told += text;
      if (told.split('\n').length > 50) writer.kill('SIGKILL');
    });
    await once(writer, 'close');
    const acknowledged = Number(told.trim().split('\n').at(-1));
    const store = openSqliteStore(file);
    assert.ok((await store.head()).position >= acknowledged);
    await store.close();
    rmSync(folder, { recursive: true });
  });
});
