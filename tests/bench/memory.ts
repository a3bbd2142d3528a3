import type { Bytes } from '@cloister/bytes';

const MIB = 1024 * 1024;
const PIECE = 65_536;

/**
 * Of what memory: `resident` is all that the process takes, garbage that waits for its collector too;
 * `held` is what the process still needs, told by collecting before each sample, which takes its time.
 */
export type Memory = 'resident' | 'held';

/** How much more memory than now this process has at the most, in MiB, sampled while something runs. */
export function watchMemory(memory: Memory): { growth: () => number } {
  const read = (): number => {
    if (memory === 'resident') return process.memoryUsage.rss();
    // Twice: what the first one found is let go by another thread, and counted when the next one begins.
    globalThis.gc?.();
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  globalThis.gc?.();
  const before = read();
  let most = before;
  const sample = (): void => {
    most = Math.max(most, read());
  };
  const timer = setInterval(sample, memory === 'held' ? 50 : 5).unref();
  return {
    growth: () => {
      clearInterval(timer);
      sample();
      return (most - before) / MIB;
    },
  };
}

/** So many bytes, in pieces that nobody keeps. */
export async function* generated(length: number): AsyncGenerator<Bytes, void, void> {
  for (let left = length; left > 0; left -= PIECE) yield new Uint8Array(Math.min(left, PIECE));
}
