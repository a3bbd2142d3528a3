import type { Cache } from '@cloister/service';
import { RefusedError } from '../refused-error.ts';

/** How often something may be done. */
export interface RateLimitOptions {
  readonly cache: Cache;
  /** What is counted. */
  readonly name: string;
  readonly most: number;
  /** Within how many milliseconds of the first. */
  readonly windowMs: number;
}

/**
 * Counts over all replicas what one name does. Whoever runs Redis can set a counter back: it bounds
 * load, and is not the only thing that slows an attacker down.
 */
export class RateLimit {
  readonly #options: RateLimitOptions;

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Throws RefusedError `throttled` where it was done too often. */
  async check(who: string): Promise<void> {
    await this.#add(who, 0);
  }

  /** Counts one more; throws where that is too many. */
  async count(who: string): Promise<void> {
    await this.#add(who, 1);
  }

  async #add(who: string, by: 0 | 1): Promise<void> {
    const { cache, name, most, windowMs } = this.#options;
    const sum = await cache.increment(`limit ${name} ${who}`, { by, ttlMs: windowMs });
    if (sum - by < most) return;
    throw new RefusedError('throttled', undefined, { retryAfter: Math.ceil(windowMs / 1000) });
  }
}
