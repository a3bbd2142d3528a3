import { copyBytes, type Bytes } from '@cloister/bytes';
import type { Cache } from './cache.ts';

/** What an in-process cache may take. */
export interface MemoryCacheOptions {
  /** Most bytes of keys and values; 64 MiB unless told. Beyond it the least recently used go. */
  readonly maxBytes?: number;
  readonly now: () => Date;
}

interface Kept {
  readonly value: Bytes;
  readonly ends: number;
}

/** What a key and its bookkeeping are taken to weigh, besides its length. */
const OVERHEAD = 128;

/** The cache of one process: what stands behind the interface where there is no Redis. */
export function createMemoryCache({ maxBytes = 64 << 20, now }: MemoryCacheOptions): Cache {
  const kept = new Map<string, Kept>();
  const counters = new Map<string, { count: number; readonly ends: number }>();
  const listeners = new Map<string, Set<(message: Bytes) => void>>();
  let bytes = 0;
  const weigh = (key: string, { value }: Kept): number => 2 * key.length + value.length + OVERHEAD;
  const drop = (key: string): void => {
    const old = kept.get(key);
    if (old === undefined) return;
    bytes -= weigh(key, old);
    kept.delete(key);
  };
  const dropEnded = (at: number): void => {
    for (const [key, { ends }] of counters) if (ends <= at) counters.delete(key);
  };
  return {
    get: async (key) => {
      const found = kept.get(key);
      if (found === undefined) return undefined;
      if (found.ends <= now().getTime()) {
        drop(key);
        return undefined;
      }
      // The order of a Map is that of insertion: the used one goes to its end.
      kept.delete(key);
      kept.set(key, found);
      return copyBytes(found.value);
    },
    set: async (key, value, { ttlMs }) => {
      drop(key);
      const one = { value: copyBytes(value), ends: now().getTime() + ttlMs };
      const weight = weigh(key, one);
      if (weight > maxBytes) return;
      for (const oldest of kept.keys()) {
        if (bytes + weight <= maxBytes) break;
        drop(oldest);
      }
      bytes += weight;
      kept.set(key, one);
    },
    delete: async (key) => drop(key),
    increment: async (key, { by = 1, ttlMs }) => {
      const at = now().getTime();
      const old = counters.get(key);
      if (old !== undefined && old.ends > at) {
        old.count += by;
        return old.count;
      }
      if (counters.size >= 10_000) dropEnded(at);
      counters.set(key, { count: by, ends: at + ttlMs });
      return by;
    },
    publish: async (channel, message) => {
      for (const listener of listeners.get(channel) ?? []) listener(copyBytes(message));
    },
    subscribe: async (channel, listener) => {
      const heard = listeners.get(channel) ?? new Set();
      listeners.set(channel, heard);
      // One listener may subscribe twice, and each subscription ends by itself.
      const own = (message: Bytes): void => listener(message);
      heard.add(own);
      return async () => {
        heard.delete(own);
        if (heard.size === 0) listeners.delete(channel);
      };
    },
    close: async () => {
      kept.clear();
      counters.clear();
      listeners.clear();
      bytes = 0;
    },
  };
}
