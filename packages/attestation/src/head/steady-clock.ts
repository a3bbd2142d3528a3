/** From where a clock takes time; all in milliseconds. */
interface TimeSources {
  /** The host's wall clock, since 1970: it may be set to anything. */
  readonly wall: () => number;
  /** A clock that only runs on, from anywhere. */
  readonly monotonic: () => number;
  /** The time of the newest head of the own party, since 1970; 0 where there is none. */
  readonly newestHead: () => number;
}

/**
 * A clock that never runs behind the newest head (design 2.1, rule 8), and runs on from there: who
 * sets the wall clock back and withholds newer heads does not stop the lease from ending.
 */
export function createSteadyClock({ wall, monotonic, newestHead }: TimeSources): () => number {
  let base = wall();
  let since = monotonic();
  return () => {
    const ticks = monotonic();
    const head = newestHead();
    if (head > base + ticks - since) {
      base = head;
      since = ticks;
    }
    return Math.max(wall(), base + ticks - since);
  };
}
