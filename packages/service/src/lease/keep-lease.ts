import type { ReleasedSecret, Verification } from '@cloister/attestation';
import { ConfigError } from '../config-error.ts';
import { errorCode } from '../log.ts';

/** How a secret is asked for, and who is told how that goes. */
export interface LeaseOptions {
  /** The secret's name, for the log and for problems. */
  readonly name: string;
  /** Asks the broker: for the first lease, or for the renewal of the one that is held. */
  readonly ask: (held: ReleasedSecret | undefined) => Promise<Verification<ReleasedSecret>>;
  /** The time, never behind the newest head (design 2.1, rule 8). */
  readonly now: () => Date;
  /** Told, each time, that the broker gives nothing yet, or did not renew: the code says why. */
  readonly onFailure: (code: string) => void;
  /** Told after each renewal: there may be newer versions. */
  readonly onRenewed?: (secret: ReleasedSecret) => Promise<void> | void;
  /** Milliseconds between two attempts where one has failed; 1 s unless told. */
  readonly retryMs?: number;
}

/** A secret under a lease that is renewed in the background. */
export interface HeldLease {
  readonly name: string;
  /** The newest release. */
  readonly secret: ReleasedSecret;
  /** Whether the lease runs: when it has ended, nothing may be done with the secret. */
  isRunning(): boolean;
  /** Ends the renewals. */
  stop(): void;
}

const RETRY_MS = 1000;
/** A lease is renewed after this part of it: a broker that is away is bridged by the rest. */
const RENEW_AFTER = 1 / 3;
/** Answers of a broker that is there and will give the secret later. */
const LATER: ReadonlySet<string> = new Set([
  'evidence_unavailable',
  'issuer_unavailable',
  'nonce_unknown',
  'secret_absent',
  'store_unavailable',
  'uninitialised',
  'awaiting_quorum',
  'awaiting_witness',
  'behind_witness',
  'sealed',
  'busy',
]);

/**
 * Gets a secret from its owner's broker (design 2.1, rule 6) and keeps its lease. At the start it
 * waits for a broker that is not there; a broker that refuses is the end: ConfigError. Later, what
 * fails is tried again until the lease is over.
 */
export async function keepLease(options: LeaseOptions): Promise<HeldLease> {
  const { name, now, onFailure, onRenewed, retryMs = RETRY_MS } = options;
  let secret = await firstRelease(options, retryMs);
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const renew = async (): Promise<number> => {
    try {
      const next = await askOnce(options, secret);
      if (typeof next !== 'string') {
        secret = next;
        await onRenewed?.(next);
        return untilRenewal(next);
      }
      onFailure(next);
    } catch (error) {
      onFailure(errorCode(error));
    }
    return retryMs;
  };
  const schedule = (ms: number): void => {
    if (stopped) return;
    timer = setTimeout(() => void renew().then(schedule), ms).unref();
  };
  schedule(untilRenewal(secret));
  return {
    name,
    get secret() {
      return secret;
    },
    isRunning: () => secret.exp * 1000 > now().getTime(),
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

const untilRenewal = ({ issued, exp }: ReleasedSecret): number =>
  (exp - issued) * 1000 * RENEW_AFTER;

async function firstRelease(options: LeaseOptions, retryMs: number): Promise<ReleasedSecret> {
  for (;;) {
    const first = await askOnce(options, undefined);
    if (typeof first !== 'string') return first;
    options.onFailure(first);
    if (!LATER.has(first) && first !== UNREACHABLE)
      throw new ConfigError(`${options.name}: the key broker is not trusted or refuses (${first})`);
    await new Promise((resolve) => {
      setTimeout(resolve, retryMs);
    });
  }
}

const UNREACHABLE = 'broker_unreachable';

/** The release, or the code of what was said instead. */
async function askOnce(
  { ask }: LeaseOptions,
  held: ReleasedSecret | undefined,
): Promise<ReleasedSecret | string> {
  try {
    const verdict = await ask(held);
    return verdict.ok ? verdict.claims : verdict.code;
  } catch (error) {
    // Nobody could be asked: no network, a broker that is starting, an answer that is none.
    if (error instanceof Error && 'code' in error) return UNREACHABLE;
    throw error;
  }
}
