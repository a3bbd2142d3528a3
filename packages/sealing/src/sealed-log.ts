import {
  type Bytes,
  concatBytes,
  decodeUtf8,
  encodeUtf8,
  equalBytes,
  MalformedError,
  parseJsonObject,
  Writer,
} from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import type { ObjectRef } from './object-ref.ts';
import { openObject, sealObject } from './sealed-object.ts';
import type { Random, SealingKey } from './sealing-key.ts';
import { TamperedError } from './tampered-error.ts';

/** Where a log ends: how many entries it has, and the running hash over all of them. */
export interface LogHead {
  readonly position: number;
  readonly hash: Bytes;
}

/** What an entry holds; visible only to who has the log key. */
export interface EntryHeader {
  readonly type: string;
  readonly id: string;
  readonly version: number;
  /** Name of the key that seals the content. */
  readonly key: string;
}

/** One entry as the store sees it: a position, two opaque byte strings and the chain's hash. */
export interface LogEntry {
  readonly position: number;
  /** The header, sealed under the log key. */
  readonly header: Bytes;
  /** The content, sealed under the key that the header names. */
  readonly content: Bytes;
  /** SHA-256 over the former hash, the position, the header and the content. */
  readonly hash: Bytes;
}

/** The head of an empty log of this tenant. */
export async function emptyLogHead(tenant: string): Promise<LogHead> {
  return { position: 0, hash: await sha256(encodeUtf8(`cloister log v1\n${tenant}`)) };
}

/** Seals one entry behind `head` and gives it with the new head. Nothing is written. */
export async function sealEntry(
  options: EntryKeys & {
    readonly head: LogHead;
    readonly type: string;
    readonly id: string;
    readonly version: number;
    readonly content: Bytes;
    readonly contentKey: SealingKey;
    readonly random: Random;
  },
): Promise<{ entry: LogEntry; head: LogHead }> {
  const { tenant, head, type, id, version, random } = options;
  const position = head.position + 1;
  const context = encodePlace(position, head.hash);
  const described = { type, id, version, key: options.contentKey.id } satisfies EntryHeader;
  const header = await sealObject(
    options.logKey,
    headerRef(tenant, position),
    encodeUtf8(JSON.stringify(described)),
    { random, context },
  );
  const ref: ObjectRef = { tenant, type, id, version };
  const content = await sealObject(options.contentKey, ref, options.content, { random, context });
  const hash = await hashEntry(head.hash, position, header, content);
  return { entry: { position, header, content, hash }, head: { position, hash } };
}

/** What every entry of a log is sealed with. */
export interface EntryKeys {
  readonly tenant: string;
  readonly logKey: SealingKey;
}

/**
 * Checks that an entry follows `previous` in the chain, and gives the new head.
 * TamperedError `entry_missing` for a gap, `chain_broken` where a byte of it differs.
 */
export async function checkEntry(entry: LogEntry, previous: LogHead): Promise<LogHead> {
  const where = `log entry ${entry.position}`;
  if (entry.position !== previous.position + 1)
    throw new TamperedError('entry_missing', `log entry ${previous.position + 1}`);
  const hash = await hashEntry(previous.hash, entry.position, entry.header, entry.content);
  if (!equalBytes(hash, entry.hash)) throw new TamperedError('chain_broken', where);
  return { position: entry.position, hash };
}

/** Opens the header of an entry whose predecessor's hash is `previousHash`. */
export async function openEntryHeader(
  keys: EntryKeys,
  entry: LogEntry,
  previousHash: Bytes,
): Promise<EntryHeader> {
  const context = encodePlace(entry.position, previousHash);
  const ref = headerRef(keys.tenant, entry.position);
  return at(entry.position, async () => {
    const text = decodeUtf8(await openObject(keys.logKey, ref, entry.header, context));
    const { type, id, version, key } = parseJsonObject(text, 'log entry header');
    if (typeof type !== 'string' || typeof id !== 'string') throw notAHeader();
    if (typeof version !== 'number' || typeof key !== 'string') throw notAHeader();
    return { type, id, version, key };
  });
}

/** Opens the content of an entry under the key that its header names. */
export async function openEntryContent(
  keys: { readonly tenant: string; readonly contentKey: SealingKey },
  header: EntryHeader,
  entry: LogEntry,
  previousHash: Bytes,
): Promise<Bytes> {
  const context = encodePlace(entry.position, previousHash);
  const { type, id, version } = header;
  const ref: ObjectRef = { tenant: keys.tenant, type, id, version };
  return at(entry.position, () => openObject(keys.contentKey, ref, entry.content, context));
}

/**
 * Checks that a log that ends at `head` still contains what was anchored elsewhere:
 * TamperedError `log_truncated` where it ends before, `entry_replaced` where another entry stands
 * at that position. `hashAt` gives the chain's hash at a position.
 */
export function checkAnchor(
  head: LogHead,
  anchor: LogHead,
  hashAt: (position: number) => Bytes | undefined,
): void {
  const where = `log entry ${anchor.position}`;
  if (head.position < anchor.position) throw new TamperedError('log_truncated', where);
  const hash = hashAt(anchor.position);
  if (hash === undefined || !equalBytes(hash, anchor.hash))
    throw new TamperedError('entry_replaced', where);
}

const headerRef = (tenant: string, position: number): ObjectRef => ({
  tenant,
  type: 'log-header',
  id: String(position),
  version: 1,
});

const encodePlace = (position: number, previousHash: Bytes): Bytes =>
  new Writer().u64le(BigInt(position)).bytes(previousHash).finish();

async function hashEntry(
  previous: Bytes,
  position: number,
  header: Uint8Array,
  content: Uint8Array,
): Promise<Bytes> {
  const lengths = new Writer()
    .u64le(BigInt(position))
    .u32be(header.length)
    .u32be(content.length)
    .finish();
  return sha256(concatBytes(previous, lengths, header, content));
}

const notAHeader = (): MalformedError => new MalformedError('bad_value', 'log entry header');

/** Adds the position to what is wrong with an entry: the same answer for every way to break one. */
async function at<T>(position: number, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof TamperedError || error instanceof MalformedError)
      throw new TamperedError('not_authentic', `log entry ${position}`, { cause: error });
    throw error;
  }
}
