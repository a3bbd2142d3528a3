import { UnavailableError } from '../unavailable-error.ts';
import type { Cache, Unsubscribe } from './cache.ts';

/**
 * A cache that goes on in this process while the shared one cannot be reached: values are found
 * again or made anew, counters count for this replica alone, messages reach this replica alone.
 * `onUnavailable` is told of each failure; errors of other kinds go through.
 */
export function withFallback(
  shared: Cache,
  local: Cache,
  onUnavailable: (error: UnavailableError) => void,
): Cache {
  const attempt = async <T>(first: () => Promise<T>, second: () => Promise<T>): Promise<T> => {
    try {
      return await first();
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      onUnavailable(error);
      return second();
    }
  };
  return {
    get: (key) =>
      attempt(
        () => shared.get(key),
        () => local.get(key),
      ),
    set: (key, value, options) =>
      attempt(
        async () => {
          await shared.set(key, value, options);
          await local.delete(key);
        },
        () => local.set(key, value, options),
      ),
    // What was kept here during an outage must not outlive it.
    delete: async (key) => {
      await local.delete(key);
      await attempt(
        () => shared.delete(key),
        () => Promise.resolve(),
      );
    },
    increment: (key, options) =>
      attempt(
        () => shared.increment(key, options),
        () => local.increment(key, options),
      ),
    publish: (channel, message) =>
      attempt(
        () => shared.publish(channel, message),
        () => local.publish(channel, message),
      ),
    subscribe: async (channel, listener) => {
      const stops: Unsubscribe[] = [await local.subscribe(channel, listener)];
      const listen = async (): Promise<void> => {
        stops.push(await shared.subscribe(channel, listener));
      };
      await attempt(listen, () => Promise.resolve());
      return async () => {
        for (const stop of stops) await stop();
      };
    },
    close: async () => {
      await shared.close();
      await local.close();
    },
  };
}
