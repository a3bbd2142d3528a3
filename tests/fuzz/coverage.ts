import { Session, type Profiler } from 'node:inspector';

/** Only our own sources count, and not the fuzzer's; but for what it is tried on. */
const OWN = /\/(packages|apps|services)\/[^/]+\/src\/|\/fuzz\/staircase\.ts$/;

/** A stretch of a function's text that ran and had never run before. */
export interface Stretch {
  readonly function: string;
  readonly length: number;
  /** Within the function. */
  readonly start: number;
  readonly end: number;
}

/**
 * What code has run, by V8's own block coverage. It must be started before the code to be watched
 * is loaded: what was compiled before is only counted by function.
 */
export class Coverage {
  readonly #session = new Session();
  /** For each function, which characters of its text have run. */
  readonly #seen = new Map<string, Uint8Array>();
  #blocks = 0;

  start(): void {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** How many stretches were accepted. */
  get blocks(): number {
    return this.#blocks;
  }

  /** What ran since the last call and counts as never run before; see `accept`. */
  take(): readonly Stretch[] {
    const fresh: Stretch[] = [];
    for (const { url, scriptId, functions } of this.#read()) {
      if (!OWN.test(url)) continue;
      for (const { ranges } of functions) {
        const [whole] = ranges;
        if (whole === undefined || whole.count === 0) continue;
        const name = `${scriptId}:${whole.startOffset}-${whole.endOffset}`;
        const length = whole.endOffset - whole.startOffset;
        for (const [start, end] of ranStretches(ranges)) {
          const stretch = {
            function: name,
            length,
            start: start - whole.startOffset,
            end: end - whole.startOffset,
          };
          if (this.#isNew(stretch)) fresh.push(stretch);
        }
      }
    }
    return fresh;
  }

  /** From now on these are nothing new. */
  accept(stretches: readonly Stretch[]): void {
    for (const { function: name, length, start, end } of stretches) {
      const seen = this.#seen.get(name) ?? new Uint8Array(length);
      seen.fill(1, start, end);
      this.#seen.set(name, seen);
      this.#blocks += 1;
    }
  }

  stop(): void {
    this.#session.disconnect();
  }

  #isNew({ function: name, start, end }: Stretch): boolean {
    const seen = this.#seen.get(name);
    return seen === undefined || seen.subarray(start, end).includes(0);
  }

  #read(): readonly Profiler.ScriptCoverage[] {
    let result: readonly Profiler.ScriptCoverage[] = [];
    // The callback comes before `post` returns: session and target share the thread.
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error) throw error;
      ({ result } = answer);
    });
    return result;
  }
}

/**
 * The stretches that ran. V8 gives nested ranges, outer ones first; an inner one is listed only where
 * its count differs from that around it.
 */
function ranStretches(ranges: readonly Profiler.CoverageRange[]): (readonly [number, number])[] {
  const stretches: (readonly [number, number])[] = [];
  const open: Profiler.CoverageRange[] = [];
  let at = ranges[0]?.startOffset ?? 0;
  const advance = (to: number): void => {
    if (to > at && (open.at(-1)?.count ?? 0) > 0) stretches.push([at, to]);
    at = Math.max(at, to);
  };
  const close = (before: number): void => {
    for (let inner = open.at(-1); inner && inner.endOffset <= before; inner = open.at(-1)) {
      advance(inner.endOffset);
      open.pop();
    }
  };
  for (const range of ranges) {
    close(range.startOffset);
    advance(range.startOffset);
    open.push(range);
  }
  close(Number.POSITIVE_INFINITY);
  return stretches;
}
