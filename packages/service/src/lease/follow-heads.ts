import type { Verification } from '@cloister/attestation';
import { ConfigError } from '../config-error.ts';
import { errorCode } from '../log.ts';

/** How heads are fetched, and who is told that they do not give time. */
export interface FollowOptions {
  /** Fetches what there is; the verdict is that of the own party's newest head. */
  readonly refresh: () => Promise<Verification<unknown>>;
  /**
   * Each waits for the next head of a broker, for a while. Where there is none, a change is noticed at
   * the next look.
   */
  readonly next?: readonly (() => Promise<Verification<unknown>>)[] | undefined;
  /** Looks for a newer manifest. */
  readonly catchUp?: (() => Promise<void>) | undefined;
  /** Seconds, as the manifest says. */
  readonly lease: number;
  readonly onFailure: (code: string) => void;
}

const RETRY_MS = 500;
/** What a broker that is starting may mend. */
const LATER: ReadonlySet<string> = new Set(['own_head_missing', 'head_too_old']);
/** There is another manifest in force than the one that is followed. */
const NEWER_MANIFEST: ReadonlySet<string> = new Set(['manifest_superseded', 'manifest_mismatch']);
/** Heads are looked at every minute (design 2.1, rule 8), more often where the lease is short. */
const MINUTE = 60;
const LOOKS_PER_LEASE = 15;
/** A broker that answers at once, with nothing new, is not asked again sooner. */
const LEAST_WAIT_MS = 1000;

/**
 * Follows the heads of brokers (design 2.1, rule 8): waits for the first one of the own party that
 * gives time, then looks every minute, and hears of a newer manifest as soon as a head names it.
 * Gives what ends it. ConfigError where the first head says that something is wrong: another
 * manifest is in force that does not follow from this one, or another broker signs.
 */
export async function followHeads(options: FollowOptions): Promise<() => void> {
  const { refresh, next = [], lease } = options;
  await waitForHead(options);
  const pause = Math.min(MINUTE, lease / LOOKS_PER_LEASE) * 1000;
  const stops = [
    repeat(
      () => look(options, refresh),
      () => pause,
    ),
  ];
  for (const wait of next) stops.push(repeat(() => look(options, wait), leastWait(pause)));
  return () => {
    for (const stop of stops) stop();
  };
}

async function look(
  options: FollowOptions,
  ask: () => Promise<Verification<unknown>>,
): Promise<void> {
  const { onFailure } = options;
  try {
    const verdict = await judged(options, ask);
    if (!verdict.ok) onFailure(verdict.code);
  } catch (error) {
    onFailure(errorCode(error));
  }
}

/** The verdict; where a newer manifest is in force, the one under that. */
async function judged(
  { refresh, catchUp }: FollowOptions,
  ask: () => Promise<Verification<unknown>>,
): Promise<Verification<unknown>> {
  const verdict = await ask();
  if (verdict.ok || !NEWER_MANIFEST.has(verdict.code) || catchUp === undefined) return verdict;
  await catchUp();
  return refresh();
}

/** Does something again and again, each time so long after the last one ended. */
function repeat(work: () => Promise<void>, pauseAfter: (ms: number) => number): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const schedule = (ms: number): void => {
    if (!stopped) timer = setTimeout(() => void turn(), ms).unref();
  };
  const turn = async (): Promise<void> => {
    const began = performance.now();
    await work();
    schedule(pauseAfter(performance.now() - began));
  };
  schedule(pauseAfter(0));
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

const leastWait =
  (pause: number) =>
  (took: number): number =>
    Math.max(0, Math.min(LEAST_WAIT_MS, pause) - took);

async function waitForHead(options: FollowOptions): Promise<void> {
  const { refresh, onFailure } = options;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- each attempt waits for the one before
    const verdict = await judged(options, refresh);
    if (verdict.ok) return;
    if (!LATER.has(verdict.code)) throw new ConfigError(`head of the key broker: ${verdict.code}`);
    onFailure(verdict.code);
    // oxlint-disable-next-line no-await-in-loop -- see above
    await new Promise((resolve) => {
      setTimeout(resolve, RETRY_MS);
    });
  }
}
