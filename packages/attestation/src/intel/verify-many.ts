/**
 * Verifies many pieces of evidence, their results in the order of the evidence. The first is
 * verified alone, so that what it shares with the others is in the cache of `verify` by then and
 * collateral is verified once; then `inFlight` at a time, whose calls of WebCrypto overlap.
 */
export async function verifyMany<Evidence, Result>(
  evidence: readonly Evidence[],
  verify: (evidence: Evidence) => Promise<Result>,
  inFlight = 32,
): Promise<Result[]> {
  if (!(inFlight >= 1)) throw new RangeError('nothing could be in flight');
  const results: Result[] = [];
  // One queue for all: each worker takes what no other has taken.
  const queue = evidence.entries();
  const take = async ([at, one]: readonly [number, Evidence]): Promise<void> => {
    results[at] = await verify(one);
  };
  const work = async (): Promise<void> => {
    for (const entry of queue) await take(entry);
  };
  const first = queue.next();
  if (first.done !== true) await take(first.value);
  await Promise.all(Array.from({ length: Math.min(inFlight, evidence.length) }, work));
  return results;
}
