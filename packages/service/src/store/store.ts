import type { Bytes } from '@cloister/bytes';

/** Where the log of a store ends. Position 0 and an empty hash: nothing was written yet. */
export interface StoreHead {
  readonly position: number;
  readonly hash: Bytes;
}

/** One entry of the log: bytes that the store does not look into, and the chain's hash after it. */
export interface StoreEntry extends StoreHead {
  /** Empty where the log has no separate headers. */
  readonly header: Bytes;
  readonly content: Bytes;
}

/** A value under a key. Version 0: there never was one; without a value: it was removed. */
export interface StoredValue {
  readonly version: number;
  readonly value: Bytes | undefined;
}

/** A change of a value, if its version still is the one that was read. */
export interface ValueChange {
  readonly key: string;
  /** The version that was read; 0 for a key that was never there. */
  readonly version: number;
  /** Undefined removes the value: the key's version lives on, so an old one never fits again. */
  readonly value: Bytes | undefined;
}

/** Something that may happen once, such as a request (design 5). */
export interface Marker {
  readonly marker: Bytes;
  /** Milliseconds since 1970: `forget` may drop it from then on. */
  readonly until: number;
}

/** What one transaction writes: all of it, or nothing. */
export interface Batch {
  /** Entries behind this head; their positions follow it without a gap. */
  readonly append?: { readonly after: StoreHead; readonly entries: readonly StoreEntry[] };
  readonly values?: readonly ValueChange[];
  readonly markers?: readonly Marker[];
}

/**
 * Where sealed rows are kept (design 4): an append-only log, values under keys, and markers. It
 * sees no plaintext; whoever uses it must not believe it either. All methods throw StoreError.
 */
export interface Store {
  head(): Promise<StoreHead>;
  /** Entries in order, streamed, from a position to the end (from the first unless told). */
  entries(from?: number): AsyncIterable<StoreEntry>;
  entry(position: number): Promise<StoreEntry | undefined>;
  value(key: string): Promise<StoredValue>;
  /** The keys with this beginning that have a value, sorted by their UTF-8 bytes. */
  keys(prefix: string): Promise<readonly string[]>;
  hasMarker(marker: Bytes): Promise<boolean>;
  /** Durable when it resolves. Throws `conflict` or `replayed` where the batch came too late. */
  commit(batch: Batch): Promise<void>;
  /** Drops the markers whose time is over. */
  forget(at: number): Promise<void>;
  close(): Promise<void>;
}

/** Refuses a batch that no store could write: a mistake of the program, not of the world. */
export function checkBatch({ append, values = [] }: Batch): void {
  const after = append?.after.position ?? 0;
  for (const [index, { position }] of (append?.entries ?? []).entries())
    if (position !== after + index + 1) throw new RangeError('batch: positions have a gap');
  if (new Set(values.map(({ key }) => key)).size !== values.length)
    throw new RangeError('batch: one key twice');
}
