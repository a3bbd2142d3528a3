import type { Broker, BrokerPhase } from './broker.ts';

/** What a broker does by itself. */
export interface Duties {
  /** Does now what is due. */
  tick(): Promise<void>;
  stop(): void;
}

/** Heads are signed every minute (design 2.1, rule 8), more often where the lease is short. */
const HEAD_SECONDS = 60;
const HEADS_PER_LEASE = 15;
/** A broker that waits for its witness asks again after so long. */
const RETRY_MS = 1000;

/** A sealed broker asks its replica again after so long. */
const REPLICA_SECONDS = 10;

/** Compares with the witness and signs heads, until it is stopped. */
export function startDuties(
  broker: Broker,
  options: {
    readonly onError: (error: unknown) => void;
    readonly onPhase: (phase: BrokerPhase) => void;
    /** Has a sealed broker opened by a replica of it; asked now and then. */
    readonly unseal?: (() => Promise<void>) | undefined;
    /** Whether it goes on by itself; tests tick by hand. */
    readonly timers?: boolean;
  },
): Duties {
  const { onError, onPhase, unseal, timers = true } = options;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let told: BrokerPhase | undefined;
  let due = 0;
  let asked = Number.NEGATIVE_INFINITY;

  const tick = async (): Promise<void> => {
    if (broker.opened === undefined && broker.now() - asked >= REPLICA_SECONDS) {
      asked = broker.now();
      await unseal?.();
    }
    if (broker.opened !== undefined) await broker.refresh();
    if (broker.opened !== undefined && broker.trust !== undefined) {
      const waiting = broker.phase !== 'active';
      if (waiting || broker.now() >= due) await broker.gate.check();
      if (broker.phase === 'active' && (waiting || broker.now() >= due)) {
        const { lease } = broker.requireTrust().manifest;
        due = broker.now() + Math.min(HEAD_SECONDS, lease / HEADS_PER_LEASE);
        await broker.issueHead();
      }
    }
    if (broker.phase !== told) {
      told = broker.phase;
      onPhase(told);
    }
  };
  const schedule = (): void => {
    if (stopped || !timers) return;
    timer = setTimeout(() => {
      tick().catch(onError).finally(schedule);
    }, RETRY_MS);
  };
  schedule();
  return {
    tick,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
