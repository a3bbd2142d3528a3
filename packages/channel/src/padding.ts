const STEP = 4096;
const STEPS_END = 65_536;

/**
 * The length to which a message of this length is padded (design 5): the next 4 KiB up to 64 KiB, from
 * there Padmé (Nikitin et al., 2019): at most 12 % more, and O(log log n) bits of the length show.
 */
export function paddedLength(length: number): number {
  if (length <= STEPS_END) return Math.max(1, Math.ceil(length / STEP)) * STEP;
  const exponent = Math.floor(Math.log2(length));
  const kept = Math.floor(Math.log2(exponent)) + 1;
  const step = 2 ** (exponent - kept);
  return Math.ceil(length / step) * step;
}
