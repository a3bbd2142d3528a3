import type { Bytes } from '@cloister/bytes';

/** How a value is put into a cache. */
export interface SetOptions {
  /** Milliseconds until it is forgotten; a cache may forget sooner. */
  readonly ttlMs: number;
}

/** Ends a subscription. */
export type Unsubscribe = () => Promise<void>;

/**
 * What replicas of a service share for speed: nothing in it is the only copy, all of it may be
 * gone at any time. Names are the caller's own, within the key space that the cache was made for.
 * Where the cache cannot be reached the methods throw UnavailableError: `withFallback` has an
 * in-process cache for that.
 */
export interface Cache {
  /** The value, or undefined: never another key's, never one older than this process has seen. */
  get(key: string): Promise<Bytes | undefined>;
  set(key: string, value: Uint8Array, options: SetOptions): Promise<void>;
  delete(key: string): Promise<void>;
  /**
   * Adds to a counter and gives the sum; the counter is forgotten `ttlMs` after its first use. For
   * rate limits: whoever runs the cache's host can set a counter back.
   */
  increment(
    key: string,
    options: { readonly by?: number; readonly ttlMs: number },
  ): Promise<number>;
  /** Tells all replicas that listen now, this one among them; nobody hears it later. */
  publish(channel: string, message: Uint8Array): Promise<void>;
  /** Hears what replicas publish from now on. A message may be lost: it is a hint, no record. */
  subscribe(channel: string, listener: (message: Bytes) => void): Promise<Unsubscribe>;
  close(): Promise<void>;
}
