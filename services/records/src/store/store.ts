import type { Bytes } from '@cloister/bytes';
import type { LogEntry } from '@cloister/sealing';

/** A key as it is kept: wrapped by the tenant key, under a random name. */
export interface StoredKey {
  readonly id: string;
  readonly wrapped: Bytes;
}

/** What one transaction writes: all of it, or nothing. */
export interface Batch {
  readonly entries: readonly LogEntry[];
  readonly keys: readonly StoredKey[];
  /** SHA-256 of the encapsulations of the requests whose effects these are (design 5). */
  readonly requests: readonly Bytes[];
  /** Milliseconds since 1970, to let go of old requests. */
  readonly at: number;
}

/** Where sealed rows are kept; sees no plaintext, no names and no types (design 4). */
export interface Store {
  /** The entries in order of position, streamed. */
  entries(): Iterable<LogEntry>;
  entry(position: number): LogEntry | undefined;
  key(id: string): Bytes | undefined;
  hasRequest(request: Bytes): boolean;
  /** Durable when it returns. Throws StoreError, and then nothing of the batch was written. */
  commit(batch: Batch): void;
  /** Forgets requests that are older. */
  dropRequests(before: number): void;
  close(): void;
}

/** Why nothing was stored. */
export type StoreErrorCode =
  | 'full'
  | 'replayed'
  | 'conflict'
  | 'unavailable'
  | 'in_use'
  | 'corrupt';

/** Thrown when a store cannot do what it is asked. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, options?: ErrorOptions) {
    super(`store: ${code}`, options);
    this.code = code;
  }
}
