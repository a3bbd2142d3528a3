import { BROKER_ANSWER, type ReleasedSecret, type Verification } from '@cloister/attestation';
import { ConfigError } from '../config-error.ts';
import { errorCode } from '../log.ts';

/** A secret for a while: from when to when it may be used, in seconds since 1970. */
export type Lent = Pick<ReleasedSecret, 'issued' | 'exp'>;

/** How a secret is asked for, and who is told how that goes. */
export interface LeaseOptions<S extends Lent = ReleasedSecret> {
  /** The secret's name, for the log and for problems. */
  readonly name: string;
  /** Asks the broker: for the first lease, or for the renewal of the one that is held. */
  readonly ask: (held: S | undefined) => Promise<Verification<S>>;
  /** Looks for a newer manifest, where the broker goes by another one than this service. */
  readonly catchUp?: (() => Promise<void>) | undefined;
  /** The time, never behind the newest head (design 2.1, rule 8). */
  readonly now: () => Date;
  /** Told, each time, that the broker gives nothing yet, or did not renew: the code says why. */
  readonly onFailure: (code: string) => void;
  /** Told after each renewal: there may be newer versions. */
  readonly onRenewed?: (secret: S) => Promise<void> | void;
  /** Milliseconds between two attempts where one has failed; 1 s unless told. */
  readonly retryMs?: number;
}

/** A secret under a lease that is renewed in the background. */
export interface HeldLease<S extends Lent = ReleasedSecret> {
  readonly name: string;
  /** The newest release. */
  readonly secret: S;
  /** Whether the lease runs: when it has ended, nothing may be done with the secret. */
  isRunning(): boolean;
  /** Renews it now: a newer manifest is in force, or there may be newer versions. */
  renew(): Promise<void>;
  /** Ends the renewals. */
  stop(): void;
}

const RETRY_MS = 1000;
/** A lease is renewed after this part of it: a broker that is away is bridged by the rest. */
const RENEW_AFTER = 1 / 3;
/** Answers of a broker or a vault that is there and will give the secret later. */
const LATER: ReadonlySet<string> = new Set([
  'evidence_unavailable',
  'issuer_unavailable',
  'vault_unauthorized',
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
const UNREACHABLE = 'broker_unreachable';
/** The broker and this service go by different manifests: one of them has not heard yet. */
const OTHER_MANIFEST = 'manifest_mismatch';
/** The broker knows nothing of the lease, after its party gave up its newest log: a new one. */
const LEASE_UNKNOWN = 'lease_unknown';

/**
 * Gets a secret from its owner's broker (design 2.1, rule 6) and keeps its lease. At the start it
 * waits for a broker that is not there; a broker that refuses is the end: ConfigError. Later, what
 * fails is tried again until the lease is over; where the verified broker itself says no, as it does
 * to code that the manifest no longer admits, the lease is over at once, until it says yes.
 */
export async function keepLease<S extends Lent = ReleasedSecret>(
  options: LeaseOptions<S>,
): Promise<HeldLease<S>> {
  const { name, now, onFailure, onRenewed, retryMs = RETRY_MS } = options;
  let secret = await firstRelease(options, retryMs);
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let queued: Promise<void> | undefined;
  let stopped = false;
  let refused = false;
  const attempt = async (): Promise<number> => {
    try {
      const next = await askNewly(options, secret);
      if ('secret' in next) {
        ({ secret } = next);
        refused = false;
        await onRenewed?.(secret);
        return untilRenewal(secret);
      }
      refused = next.final;
      onFailure(next.code);
    } catch (error) {
      onFailure(errorCode(error));
    }
    return retryMs;
  };
  const turn = async (): Promise<void> => {
    const ms = await attempt();
    running = undefined;
    if (!stopped) timer = setTimeout(() => void renew(), ms).unref();
  };
  const begin = (): Promise<void> => {
    clearTimeout(timer);
    running = turn();
    return running;
  };
  const renew = (): Promise<void> => {
    if (running === undefined) return begin();
    // What is under way may have been asked before whatever the caller knows of.
    queued ??= running.then(() => {
      queued = undefined;
      return begin();
    });
    return queued;
  };
  timer = setTimeout(() => void renew(), untilRenewal(secret)).unref();
  return {
    name,
    get secret() {
      return secret;
    },
    isRunning: () => !refused && secret.exp * 1000 > now().getTime(),
    renew,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

const untilRenewal = ({ issued, exp }: Lent): number => (exp - issued) * 1000 * RENEW_AFTER;

async function firstRelease<S extends Lent>(options: LeaseOptions<S>, retryMs: number): Promise<S> {
  for (;;) {
    const first = await askNewly(options, undefined);
    if ('secret' in first) return first.secret;
    const { code } = first;
    options.onFailure(code);
    if (!LATER.has(code) && code !== UNREACHABLE)
      throw new ConfigError(
        `${options.name}: its owner's key broker or vault is not trusted, or refuses (${code})`,
      );
    await new Promise((resolve) => {
      setTimeout(resolve, retryMs);
    });
  }
}

/** What came of a question: a release, or why there is none. */
type Asked<S> =
  | { readonly secret: S }
  | {
      readonly code: string;
      /** Whether the verified broker itself said no, and means this service. */
      readonly final: boolean;
    };

/** Asks; once more after looking for a newer manifest, and where the broker knows no such lease. */
async function askNewly<S extends Lent>(
  options: LeaseOptions<S>,
  held: S | undefined,
): Promise<Asked<S>> {
  const first = await askOnce(options, held);
  if ('secret' in first) return first;
  if (first.code === OTHER_MANIFEST && options.catchUp !== undefined) {
    await options.catchUp();
    return askOnce(options, held);
  }
  return first.code === LEASE_UNKNOWN && held !== undefined ? askOnce(options, undefined) : first;
}

async function askOnce<S extends Lent>(
  { ask }: LeaseOptions<S>,
  held: S | undefined,
): Promise<Asked<S>> {
  try {
    const verdict = await ask(held);
    if (verdict.ok) return { secret: verdict.claims };
    const { code, checks } = verdict;
    const said = checks.some((one) => one.check === BROKER_ANSWER && one.outcome === 'failed');
    const mendable = LATER.has(code) || code === OTHER_MANIFEST || code === LEASE_UNKNOWN;
    return { code, final: said && !mendable };
  } catch (error) {
    // Nobody could be asked: no network, a broker that is starting, an answer that is none.
    if (error instanceof Error && 'code' in error) return { code: UNREACHABLE, final: false };
    throw error;
  }
}
