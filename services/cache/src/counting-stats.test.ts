import type { GateStats } from './gate/gate-deps.ts';

/** What a gate counted, for tests to look at. */
export interface CountingStats extends GateStats {
  readonly events: Map<string, number>;
}

export function createGateStats(): CountingStats {
  const events = new Map<string, number>();
  const count = (event: string): void => {
    events.set(event, (events.get(event) ?? 0) + 1);
  };
  return {
    events,
    requests: 0,
    bytesIn: 0,
    bytesOut: 0,
    unparsed: 0,
    denied: (code) => count(`denied ${code}`),
    login: (code) => count(`login ${code}`),
    cut: (reason) => count(`cut ${reason}`),
  };
}
