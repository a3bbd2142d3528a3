/** One thing to measure. It says how often it did its work: `true` is once, `false` or 0 that it failed. */
export type Task = () => boolean | number | Promise<boolean | number>;

/** What came of a measurement. */
export interface Measurement {
  /** How often per second: the median of the rounds. */
  readonly rate: (name: string) => number;
  /** How many times as often as another: the median of what it was in each round. */
  readonly ratio: (name: string, to: string) => number;
}

/**
 * By which clock: `processor` counts what all threads of this process work, so a rate is one of one
 * core, whatever else the machine does; `wall` counts what passes, waiting and all.
 */
export type Clock = 'processor' | 'wall';

const ROUNDS = 40;
const SLICE_MS = 25;
const WARM_UP_MS = 400;

/**
 * Measures in many short rounds, in which the tasks take turns: what else the machine does slows
 * all of a round alike, and so falls out of ratios.
 */
export async function measure(
  tasks: ReadonlyMap<string, Task>,
  clock: Clock = 'processor',
): Promise<Measurement> {
  const rates = new Map<string, number[]>();
  for (const [name, task] of tasks) {
    await slice(name, task, WARM_UP_MS, clock);
    rates.set(name, []);
  }
  for (let round = 0; round < ROUNDS; round++) {
    // Back and forth: else each would always come after the same one.
    const order = [...tasks];
    if (round % 2 === 1) order.reverse();
    for (const [name, task] of order) {
      // Each pays for its own garbage.
      globalThis.gc?.({ type: 'minor', execution: 'sync' });
      rates.get(name)?.push(await slice(name, task, SLICE_MS, clock));
    }
  }
  const of = (name: string): readonly number[] => rates.get(name) ?? [];
  return {
    rate: (name) => median(of(name)),
    ratio: (name, to) => median(of(name).map((rate, i) => rate / (of(to)[i] ?? Number.NaN))),
  };
}

async function slice(name: string, task: Task, length: number, clock: Clock): Promise<number> {
  const start = performance.now();
  const worked = process.cpuUsage();
  let count = 0;
  let elapsed = 0;
  while (elapsed < length) {
    const done = Number(await task());
    if (done === 0) throw new RangeError(`${name} did not do its work`);
    count += done;
    elapsed = performance.now() - start;
  }
  const { user, system } = process.cpuUsage(worked);
  return (1000 * count) / (clock === 'wall' ? elapsed : (user + system) / 1000);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
