import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { openBlobFolder } from './blob-folder.ts';

const folder = mkdtempSync(join(tmpdir(), 'cloister-blobs-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const blobs = openBlobFolder(folder);
const files = () =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter((e) => e.isFile()).length;

async function readAll(id: string): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of blobs.read(id)) parts.push(part);
  return Buffer.concat(parts).toString();
}

function* breaking(error: Error): Generator<Uint8Array> {
  yield Buffer.from('some');
  throw error;
}
const failing = (code: string) =>
  breaking(Object.assign(new Error(code), { code, syscall: 'write' }));

describe('openBlobFolder', () => {
  it('gives back what was written, and removes it', async () => {
    const id = randomUUID();
    await blobs.write(id, [Buffer.from('one '), Buffer.from('two')]);
    assert.equal(await readAll(id), 'one two');
    await blobs.remove(id);
    await assert.rejects(readAll(id), { name: 'TamperedError', code: 'entry_missing' });
  });

  it('leaves nothing behind when the stream breaks off', async () => {
    const before = files();
    const broken = breaking(new RangeError('broken'));
    await assert.rejects(blobs.write(randomUUID(), broken), RangeError);
    assert.equal(files(), before);
  });

  it('tells a full disk from a broken one', async () => {
    await assert.rejects(blobs.write(randomUUID(), failing('ENOSPC')), { code: 'full' });
    await assert.rejects(blobs.write(randomUUID(), failing('EIO')), { code: 'unavailable' });
    writeFileSync(join(folder, 'file'), '');
    const nowhere = openBlobFolder(join(folder, 'file'));
    await assert.rejects(nowhere.write(randomUUID(), []), { code: 'unavailable' });
  });

  it('names nothing but UUIDs', async () => {
    for (const id of ['../x', 'a', '']) await assert.rejects(blobs.write(id, []), RangeError);
  });
});
