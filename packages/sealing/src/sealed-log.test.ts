import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { type Bytes, decodeUtf8, encodeUtf8 } from '@cloister/bytes';
import {
  checkAnchor,
  checkEntry,
  emptyLogHead,
  type LogEntry,
  type LogHead,
  openEntryContent,
  openEntryHeader,
  sealEntry,
} from './sealed-log.ts';
import { importSealingKey } from './sealing-key.ts';
import type { TamperedError } from './tampered-error.ts';

const random = (length: number): Bytes => new Uint8Array(randomBytes(length));
const tenant = 'lamna';
const logKey = await importSealingKey('log', random(32));
const contentKey = await importSealingKey('k1', random(32));

async function write(count: number): Promise<LogEntry[]> {
  let head = await emptyLogHead(tenant);
  const entries: LogEntry[] = [];
  for (let i = 1; i <= count; i++) {
    const content = encodeUtf8(`content ${i}`);
    const place = { tenant, logKey, head, type: 'Patient', id: 'p', version: i };
    const sealed = await sealEntry({ ...place, content, contentKey, random });
    entries.push(sealed.entry);
    head = sealed.head;
  }
  return entries;
}

/** What a reader does at start: checks the chain and opens everything. */
async function read(entries: readonly LogEntry[], anchor?: LogHead): Promise<string[]> {
  let head = await emptyLogHead(tenant);
  const hashes = new Map<number, Bytes>();
  const contents: string[] = [];
  for (const entry of entries) {
    const previous = head.hash;
    head = await checkEntry(entry, head);
    hashes.set(head.position, head.hash);
    const header = await openEntryHeader({ tenant, logKey }, entry, previous);
    assert.equal(header.key, 'k1');
    contents.push(
      decodeUtf8(await openEntryContent({ tenant, contentKey }, header, entry, previous)),
    );
  }
  if (anchor) checkAnchor(head, anchor, (position) => hashes.get(position));
  return contents;
}

const refused = (code: string) => (error: TamperedError) => error.code === code;

describe('the sealed log', () => {
  let log: LogEntry[] = [];
  before(async () => {
    log = await write(5);
  });
  const entry = (i: number): LogEntry => log[i] ?? assert.fail();

  it('gives back what was written, in order', async () => {
    assert.deepEqual(
      await read(log),
      [1, 2, 3, 4, 5].map((i) => `content ${i}`),
    );
  });

  it('shows neither type nor id nor content to the store', () => {
    const stored = Buffer.concat(log.flatMap((e) => [e.header, e.content]));
    for (const word of ['Patient', 'content', 'k1']) assert.equal(stored.includes(word), false);
  });

  it('refuses swapped rows', async () => {
    const swapped = [...log];
    swapped[1] = { ...entry(2), position: 2 };
    swapped[2] = { ...entry(1), position: 3 };
    await assert.rejects(read(swapped), refused('chain_broken'));
  });

  it('refuses a missing row', async () => {
    await assert.rejects(read(log.toSpliced(2, 1)), refused('entry_missing'));
  });

  it('refuses a row that was made to fit in the place of a missing one', async () => {
    const moved = log.toSpliced(2, 1).map((e, i) => ({ ...e, position: i + 1 }));
    await assert.rejects(read(moved), refused('chain_broken'));
  });

  it('refuses an older entry replayed at a later position, even with a mended chain', async () => {
    const anchor = await checkAll(log.slice(0, 4));
    const old = entry(0);
    // The host knows no key, but can compute the chain's hash: it is over stored bytes only.
    const forged = await mend({ ...old, position: 5 }, anchor);
    await checkEntry(forged, anchor);
    await assert.rejects(read([...log.slice(0, 4), forged]), refused('not_authentic'));
  });

  it('refuses a log cut short behind its anchor', async () => {
    const anchor = await checkAll(log);
    await assert.rejects(read(log.slice(0, 3), anchor), refused('log_truncated'));
    assert.equal((await read(log, anchor)).length, 5);
  });

  it('refuses another history of the same length as the anchored one', async () => {
    const anchor = await checkAll(log);
    const other = await write(6);
    await assert.rejects(read(other, anchor), refused('entry_replaced'));
  });

  it('refuses every flipped byte of an entry', async () => {
    for (const part of ['header', 'content', 'hash'] as const) {
      for (let i = 0; i < entry(1)[part].length; i += 7) {
        const changed = entry(1)[part].slice();
        changed[i] = (changed[i] ?? 0) ^ 1;
        const bad = log.with(1, { ...entry(1), [part]: changed });
        await assert.rejects(read(bad), refused('chain_broken'));
      }
    }
  });

  it('refuses the log of another tenant', async () => {
    const head = await emptyLogHead('other');
    await assert.rejects(checkEntry(entry(0), head), refused('chain_broken'));
  });
});

async function checkAll(entries: readonly LogEntry[]): Promise<LogHead> {
  let head = await emptyLogHead(tenant);
  for (const entry of entries) head = await checkEntry(entry, head);
  return head;
}

async function mend(entry: LogEntry, previous: LogHead): Promise<LogEntry> {
  const lengths = Buffer.alloc(16);
  lengths.writeBigUInt64LE(BigInt(entry.position));
  lengths.writeUInt32BE(entry.header.length, 8);
  lengths.writeUInt32BE(entry.content.length, 12);
  const bytes = Buffer.concat([previous.hash, lengths, entry.header, entry.content]);
  return { ...entry, hash: new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)) };
}
