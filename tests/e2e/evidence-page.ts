import { VerificationCache } from '@cloister/attestation';
import { MalformedError, type Bytes } from '@cloister/bytes';
import {
  judgeVector,
  parseVectors,
  type EvidenceVector,
  type VectorOutcome,
} from '../../apps/cli/src/evidence-vectors.ts';

/** How long the main thread was not free while one vector was verified. */
export interface Blocking {
  readonly id: string;
  /** The longest stretch, in milliseconds; the least of several attempts. */
  readonly longest: number;
}

/** What the page offers to the test. */
export interface EvidencePage {
  /** Verifies every vector, one cache for all, as the command does. */
  judgeAll(): Promise<readonly VectorOutcome[]>;
  /** Verifies every vector of a kind (`tee/kind`), each from nothing, and watches. */
  measureAll(kind: string): Promise<readonly Blocking[]>;
  /** Work of so many milliseconds on the main thread: what the watch must see. */
  measureBusy(milliseconds: number): Promise<number>;
}

/** At least so often, and on until it is well below a frame. */
const ATTEMPTS = 3;
const MOST_ATTEMPTS = 12;
const GOOD_MS = 4;
const files = new Map<string, Promise<Bytes>>();

/** Each file is loaded once. */
function load(path: string): Promise<Bytes> {
  const known = files.get(path);
  if (known !== undefined) return known;
  const loading = fetch(`/vectors/${path}`).then(
    async (response) => new Uint8Array(await response.arrayBuffer()),
  );
  files.set(path, loading);
  return loading;
}

function readerOf({ id, files: paths }: EvidenceVector): (name: string) => Promise<Bytes> {
  return (name) => {
    const path = paths.get(name);
    if (path === undefined) throw new MalformedError('truncated', `${id}: no file ${name}`);
    return load(path);
  };
}

async function loadVectors(): Promise<readonly EvidenceVector[]> {
  const manifest = await load('EVIDENCE-MANIFEST.json');
  const vectors = parseVectors(new TextDecoder().decode(manifest));
  await Promise.all(vectors.flatMap((one) => [...one.files.values()].map((path) => load(path))));
  return vectors;
}

/**
 * The longest time for which the main thread did not come round while `work` ran. Messages to
 * ourselves are tasks like any other: the time between two of them is how long a click would wait.
 */
async function watch(work: () => Promise<unknown>): Promise<number> {
  const { port1, port2 } = new MessageChannel();
  let last = performance.now();
  let longest = 0;
  let running = true;
  port1.addEventListener('message', () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (running) port2.postMessage(null);
  });
  port1.start();
  port2.postMessage(null);
  await work();
  longest = Math.max(longest, performance.now() - last);
  running = false;
  port1.close();
  return longest;
}

/** Leaves the thread free for a moment. */
function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

export const page: EvidencePage = {
  async judgeAll() {
    const cache = new VerificationCache();
    const outcomes: VectorOutcome[] = [];
    for (const vector of await loadVectors()) {
      outcomes.push(await judgeVector(vector, readerOf(vector), cache));
    }
    return outcomes;
  },
  async measureAll(wanted) {
    const measured: Blocking[] = [];
    for (const vector of await loadVectors()) {
      if (`${vector.tee}/${vector.kind}` !== wanted) continue;
      let longest = Number.POSITIVE_INFINITY;
      // What disturbs the machine does not come each time; what blocks does.
      for (let i = 0; i < ATTEMPTS || (longest > GOOD_MS && i < MOST_ATTEMPTS); i++) {
        await rest();
        const judge = (): Promise<unknown> =>
          judgeVector(vector, readerOf(vector), new VerificationCache());
        longest = Math.min(longest, await watch(judge));
      }
      measured.push({ id: vector.id, longest });
    }
    return measured;
  },
  measureBusy: (milliseconds) =>
    watch(async () => {
      await rest();
      const end = performance.now() + milliseconds;
      while (performance.now() < end);
      await rest();
    }),
};
