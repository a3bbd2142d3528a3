/** The newest version that this process has seen of each name, within bounds. */
export interface SeenVersions {
  /** Whether this version is not older than what was seen of the name; if so it is remembered. */
  accept(name: string, version: number): boolean;
  /** A version above all that were given out and seen here; microseconds since 1970, roughly. */
  next(): number;
}

/**
 * Remembers versions in the TEE's memory, where the host cannot set them back: a value that Redis
 * gives again after a newer one was seen is noticed. When there are too many names the oldest are
 * forgotten, together with the right to be older than them: a name that is not remembered is taken
 * only if its version is above all that were forgotten. A cache loses by that, and stays right.
 */
export function createSeenVersions(options: {
  readonly now: () => Date;
  /** Most names; 100 000 unless told. */
  readonly capacity?: number;
}): SeenVersions {
  const { now, capacity = 100_000 } = options;
  const seen = new Map<string, number>();
  let floor = 0;
  let last = 0;
  return {
    accept(name, version) {
      const known = seen.get(name);
      if (version < (known ?? floor)) return false;
      // The order of a Map is that of insertion: what was seen last goes to its end.
      seen.delete(name);
      seen.set(name, version);
      last = Math.max(last, version);
      for (const [oldest, forgotten] of seen) {
        if (seen.size <= capacity) break;
        seen.delete(oldest);
        floor = Math.max(floor, forgotten + 1);
      }
      return true;
    },
    next() {
      last = Math.max(last + 1, now().getTime() * 1000);
      return last;
    },
  };
}
