import { randomFillSync } from 'node:crypto';
import type { Bytes } from '@cloister/bytes';

const POOL = 8192;

/**
 * Random bytes out of a pool that is filled by one call for hundreds of ids: a call for each costs
 * as much as a hash. Bytes are handed out once, and wiped in the pool.
 */
export function createRandomPool(): (length: number) => Bytes {
  const pool = new Uint8Array(POOL);
  let left = 0;
  return (length) => {
    if (length > POOL) return randomFillSync(new Uint8Array(length));
    if (length > left) {
      randomFillSync(pool);
      left = POOL;
    }
    const start = left - length;
    const bytes = pool.slice(start, left);
    pool.fill(0, start, left);
    left = start;
    return bytes;
  };
}
