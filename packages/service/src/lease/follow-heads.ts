import type { Verification } from '@cloister/attestation';
import { ConfigError } from '../config-error.ts';
import { errorCode } from '../log.ts';

/** How heads are fetched, and who is told that they do not give time. */
export interface FollowOptions {
  /** Fetches what there is; the verdict is that of the own party's newest head. */
  readonly refresh: () => Promise<Verification<unknown>>;
  /** Seconds, as the manifest says. */
  readonly lease: number;
  readonly onFailure: (code: string) => void;
}

const RETRY_MS = 500;
/** What a broker that is starting may mend. */
const LATER: ReadonlySet<string> = new Set(['own_head_missing', 'head_too_old']);
/** Heads are looked at every minute (design 2.1, rule 8), more often where the lease is short. */
const MINUTE = 60;
const LOOKS_PER_LEASE = 15;

/**
 * Follows the heads of brokers (design 2.1, rule 8): waits for the first one of the own party that
 * gives time, then looks every minute. Gives what ends it. ConfigError where the first head says
 * that something is wrong: another manifest is in force, or another broker signs.
 */
export async function followHeads(options: FollowOptions): Promise<() => void> {
  const { refresh, lease, onFailure } = options;
  await waitForHead(options);
  const pause = Math.min(MINUTE, lease / LOOKS_PER_LEASE) * 1000;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    try {
      const verdict = await refresh();
      if (!verdict.ok) onFailure(verdict.code);
    } catch (error) {
      onFailure(errorCode(error));
    }
  };
  const schedule = (): void => {
    if (!stopped) timer = setTimeout(() => void look().then(schedule), pause).unref();
  };
  schedule();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

async function waitForHead({ refresh, onFailure }: FollowOptions): Promise<void> {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- each attempt waits for the one before
    const verdict = await refresh();
    if (verdict.ok) return;
    if (!LATER.has(verdict.code)) throw new ConfigError(`head of the key broker: ${verdict.code}`);
    onFailure(verdict.code);
    // oxlint-disable-next-line no-await-in-loop -- see above
    await new Promise((resolve) => {
      setTimeout(resolve, RETRY_MS);
    });
  }
}
