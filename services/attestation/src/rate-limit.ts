/** Lets each address have so many requests a second, and as many at once as it saved up. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, { left: number; at: number }>();

  /** `perSecond` 0 is no limit; `now` in milliseconds. */
  constructor(perSecond: number, now: () => number) {
    this.#perSecond = perSecond;
    this.#burst = Math.max(1, 2 * perSecond);
    this.#now = now;
  }

  /** Takes one request; false where the address has none left. */
  take(address: string): boolean {
    if (this.#perSecond === 0) return true;
    const now = this.#now();
    const bucket = this.#buckets.get(address) ?? { left: this.#burst, at: now };
    const gained = ((now - bucket.at) / 1000) * this.#perSecond;
    bucket.left = Math.min(this.#burst, bucket.left + gained);
    bucket.at = now;
    this.#buckets.set(address, bucket);
    if (this.#buckets.size > MOST_ADDRESSES) this.#forget(now);
    if (bucket.left < 1) return false;
    bucket.left -= 1;
    return true;
  }

  /** Addresses whose bucket is full again need not be known; of others the oldest goes. */
  #forget(now: number): void {
    const full = (this.#burst / this.#perSecond) * 1000;
    for (const [address, { at }] of this.#buckets)
      if (now - at >= full) this.#buckets.delete(address);
    for (const address of this.#buckets.keys()) {
      if (this.#buckets.size <= MOST_ADDRESSES) break;
      this.#buckets.delete(address);
    }
  }
}

const MOST_ADDRESSES = 10_000;
