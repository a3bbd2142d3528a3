import { RefusedError } from '../refused-error.ts';

const FREE_TRIES = 5;
const LONGEST_WAIT_S = 300;
const MAX_NAMES = 1000;

/**
 * Slows down guessing: after five failures in a row of one name, each further try must wait, twice
 * as long every time up to five minutes. The network address of a caller is unknown in the channel.
 */
export class Throttle {
  readonly #failures = new Map<string, { count: number; until: number }>();
  readonly #now: () => Date;

  constructor(now: () => Date) {
    this.#now = now;
  }

  /** Throws RefusedError `throttled` while the name must wait. */
  check(name: string): void {
    const until = this.#failures.get(name)?.until ?? 0;
    const wait = Math.ceil((until - this.#now().getTime()) / 1000);
    if (wait > 0) throw new RefusedError('throttled', undefined, { retryAfter: wait });
  }

  failed(name: string): void {
    const count = (this.#failures.get(name)?.count ?? 0) + 1;
    const wait = count < FREE_TRIES ? 0 : Math.min(2 ** (count - FREE_TRIES), LONGEST_WAIT_S);
    this.#failures.delete(name);
    this.#failures.set(name, { count, until: this.#now().getTime() + wait * 1000 });
    // The oldest go first: a map keeps the order of insertion.
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size <= MAX_NAMES) break;
      this.#failures.delete(oldest);
    }
  }

  succeeded(name: string): void {
    this.#failures.delete(name);
  }
}
