import type { Cache, Unsubscribe } from '@cloister/service';

/** A cache whose keys may be replaced while it is used. */
export interface ReplaceableCache extends Cache {
  /** Goes on with another one; who listened is heard on both, until the next one comes. */
  replace(next: Cache): Promise<void>;
}

interface Listening {
  readonly channel: string;
  readonly listener: Parameters<Cache['subscribe']>[1];
  /** The newest last, two at most. */
  stops: readonly Unsubscribe[];
}

/**
 * A cache that begins as another one and can be replaced by the next: what was in the one before is
 * found no more, and made anew. Replicas do not replace theirs at the same moment, so that for a
 * time messages come on either.
 */
export function createReplaceableCache(first: Cache): ReplaceableCache {
  let current = first;
  const all = new Set<Listening>();
  return {
    get: (key) => current.get(key),
    set: (key, value, options) => current.set(key, value, options),
    delete: (key) => current.delete(key),
    increment: (key, options) => current.increment(key, options),
    publish: (channel, message) => current.publish(channel, message),
    async subscribe(channel, listener) {
      const listening: Listening = {
        channel,
        listener,
        stops: [await current.subscribe(channel, listener)],
      };
      all.add(listening);
      return async () => {
        all.delete(listening);
        for (const stop of listening.stops) await stop();
      };
    },
    async replace(next) {
      current = next;
      for (const listening of all) {
        const newest = await next.subscribe(listening.channel, listening.listener);
        for (const stop of listening.stops.slice(0, -1)) await stop();
        listening.stops = [...listening.stops.slice(-1), newest];
      }
    },
    close: () => current.close(),
  };
}
