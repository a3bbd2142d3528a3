import { MalformedError } from '@cloister/bytes';
import type { Coverage } from './coverage.ts';
import { mutate, type MutationContext } from './mutate.ts';
import { FuzzRandom } from './random.ts';
import type { Finding, FuzzReport, Target } from './target.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** How a run is bounded. */
export interface FuzzOptions {
  readonly milliseconds: number;
  readonly seed: number;
  /** Told of every input before it is read: whoever watches us then knows on what we hang. */
  readonly announce?: (input: Bytes) => void;
}

/** How many inputs run between two looks at what was reached: a look takes milliseconds. */
const MIN_BATCH = 16;
const MAX_BATCH = 4096;
/** Looking may take so much of the time. */
const LOOKING = 0.25;
const MAX_FINDINGS = 5;
const MAX_CORPUS = 2000;

/**
 * Feeds a target with mutations of what it knows, and keeps what reaches blocks that nothing
 * reached before. Ends after its time, or when it has found enough.
 */
export async function fuzz(
  target: Target,
  coverage: Coverage,
  { milliseconds, seed, announce }: FuzzOptions,
): Promise<FuzzReport> {
  const { name, words = [], maxLength = 65_536 } = target;
  const random = new FuzzRandom(seed);
  const findings = new Map<string, Finding>();
  const corpus: Bytes[] = [];
  let executions = 0;
  const execute = async (input: Bytes): Promise<void> => {
    announce?.(input);
    executions += 1;
    const finding = await tryInput(target, input);
    if (finding !== undefined) findings.set(`${finding.rule} ${finding.detail}`, finding);
  };
  /** Which inputs of a batch reach something new shows by halves: few do. */
  const keepFresh = async (batch: readonly Bytes[]): Promise<void> => {
    for (const input of batch) await execute(input);
    const fresh = coverage.take();
    if (fresh.length === 0) return;
    const [input, ...more] = batch;
    if (input !== undefined && more.length === 0) {
      if (corpus.length < MAX_CORPUS) corpus.push(input);
      coverage.accept(fresh);
      return;
    }
    const half = batch.length >> 1;
    await keepFresh(batch.slice(0, half));
    await keepFresh(batch.slice(half));
  };
  const seeds = (await target.seeds()).map((bytes) => new Uint8Array(bytes).slice(0, maxLength));
  for (const input of seeds) await execute(input);
  coverage.accept(coverage.take());
  corpus.push(...(seeds.length > 0 ? seeds : [new Uint8Array()]));

  const context: MutationContext = {
    corpus,
    words: words.map((word) => new TextEncoder().encode(word)),
    maxLength,
  };
  const end = performance.now() + milliseconds;
  let size = MIN_BATCH;
  while (performance.now() < end && findings.size < MAX_FINDINGS) {
    const batch: Bytes[] = [];
    const started = performance.now();
    for (let i = 0; i < size && performance.now() < end; i++) {
      const input = mutate(random.pick(corpus), random, context);
      batch.push(input);
      await execute(input);
    }
    const ran = performance.now();
    const fresh = coverage.take();
    const looked = performance.now() - ran;
    const ideal = (looked / LOOKING / Math.max(0.1, ran - started)) * batch.length;
    size = Math.round(Math.min(MAX_BATCH, Math.max(MIN_BATCH, ideal)));
    if (fresh.length === 0) continue;
    await keepFresh(batch);
    // What shows only in a batch (a second run takes another way) must not be looked for for ever.
    coverage.accept(fresh);
  }
  return {
    target: name,
    executions,
    corpus: corpus.length,
    blocks: coverage.blocks,
    findings: [...findings.values()],
  };
}

/** Reads one input; undefined where every rule held. */
async function tryInput(target: Target, input: Bytes): Promise<Finding | undefined> {
  const { limitMs = 250, run, documented = isMalformed } = target;
  const copy = input.slice();
  const start = performance.now();
  let problem: string | undefined;
  try {
    await run(copy);
  } catch (error) {
    if (!documented(error)) problem = describe(error);
  }
  if (problem !== undefined) return findingOf(target, 'undocumented error', problem, input);
  const took = performance.now() - start;
  if (took <= limitMs) return undefined;
  const again = await fastest(target, input, took);
  if (again <= limitMs) return undefined;
  return findingOf(target, 'too slow', `longer than ${limitMs} ms`, input);
}

/** The machine may have been busy: the least of three attempts counts. */
async function fastest({ run }: Target, input: Bytes, first: number): Promise<number> {
  let least = first;
  for (let i = 0; i < 2; i++) {
    const start = performance.now();
    try {
      await run(input.slice());
    } catch {
      // The first attempt has judged the error; here only time is measured.
    }
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

function findingOf(target: Target, rule: Finding['rule'], detail: string, input: Bytes): Finding {
  return { target: target.name, rule, detail, inputBase64: Buffer.from(input).toString('base64') };
}

function isMalformed(error: unknown): boolean {
  return error instanceof MalformedError;
}

/** Name, message and the place that threw. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${typeof error}`;
  const place = error.stack?.split('\n').find((line) => /\/(packages|apps)\//.test(line));
  return `${error.name}: ${error.message} ${place?.trim() ?? ''}`.replaceAll(/\s+/g, ' ');
}
