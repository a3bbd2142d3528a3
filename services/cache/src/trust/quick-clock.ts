/** A clock that may be asked at every request. */
export interface QuickClock {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Compares with the exact clock. */
  readonly correct: () => void;
}

/**
 * The host's clock, and by how much the exact one was ahead of it when they were compared last: asking
 * the exact one costs more than a request. Until the next comparison the host may set it back; what it
 * gains is the time between two of them.
 */
export function createQuickClock(exact: () => number, host: () => number): QuickClock {
  let ahead = 0;
  const correct = (): void => {
    ahead = exact() - host();
  };
  correct();
  return { now: () => host() + ahead, correct };
}
