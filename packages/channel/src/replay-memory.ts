import { type Bytes, encodeHex } from '@cloister/bytes';
import type { Awaitable } from '@cloister/crypto';

/** Remembers encapsulations while their Date would still let them in (RFC 9458 section 6.5.1). */
export interface ReplayMemory {
  /**
   * Remembers an encapsulation (SHA-256 of enc) until a time. False where it is known already, or
   * where the memory is full: what cannot be remembered cannot be let in.
   */
  remember(encapsulation: Bytes, until: Date): Awaitable<boolean>;
}

const MINUTE = 60_000;

/**
 * A memory in this process: the fast path only. What makes replays harmless across replicas and
 * restarts is the record of the encapsulation that an application writes with its effect (design 5).
 */
export function createReplayMemory({
  now,
  capacity = 1_000_000,
}: {
  readonly now: () => Date;
  readonly capacity?: number;
}): ReplayMemory {
  // By the minute in which they may be forgotten: forgetting costs nothing per encapsulation.
  const minutes = new Map<number, Set<string>>();
  let size = 0;

  function forget(): void {
    const current = Math.floor(now().getTime() / MINUTE);
    for (const [minute, set] of minutes) {
      if (minute >= current) continue;
      size -= set.size;
      minutes.delete(minute);
    }
  }

  return {
    remember(encapsulation, until) {
      forget();
      const digest = encodeHex(encapsulation);
      for (const set of minutes.values()) if (set.has(digest)) return false;
      if (size >= capacity) return false;
      const minute = Math.floor(until.getTime() / MINUTE);
      const set = minutes.get(minute) ?? new Set<string>();
      minutes.set(minute, set.add(digest));
      size++;
      return true;
    },
  };
}
