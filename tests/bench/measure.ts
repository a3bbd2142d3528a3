/** One thing to measure; false says that it did not do its work. */
export type Task = () => boolean | Promise<boolean>;

const ROUNDS = 5;
const ROUND_MS = 400;

/** Median of the rounds, which take turns: so what disturbs the machine hits all alike. */
export async function measure(tasks: ReadonlyMap<string, Task>): Promise<Map<string, number>> {
  const rates = new Map<string, number[]>();
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, task] of tasks) {
      const start = performance.now();
      let count = 0;
      let elapsed = 0;
      while (elapsed < ROUND_MS) {
        if (!(await task())) throw new RangeError(`${name} did not verify`);
        count += 1;
        elapsed = performance.now() - start;
      }
      // The first round warms up.
      if (round > 0) rates.set(name, [...(rates.get(name) ?? []), (1000 * count) / elapsed]);
    }
  }
  return new Map([...rates].map(([name, values]) => [name, median(values)]));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
