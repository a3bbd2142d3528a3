import type { Bytes } from '@cloister/bytes';

const MIB = 1024 * 1024;
const PIECE = 65_536;

/** The most memory of this process beyond that of now, sampled while something runs. */
export function watchMemory(): { growth: () => number } {
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  let most = before;
  const sample = (): void => {
    most = Math.max(most, process.memoryUsage().rss);
  };
  const timer = setInterval(sample, 5).unref();
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
