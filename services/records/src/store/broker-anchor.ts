import { decodeHex, encodeHex } from '@cloister/bytes';
import { type BrokerClient, ClientError } from '@cloister/client';
import { UnavailableError } from '@cloister/service';
import { ANCHOR_NAME } from '../restore/restore-order.ts';
import type { Anchored, HeadAnchor } from './head-anchor.ts';

/** What the anchor needs of the broker: every receipt that it gives is verified, over a fresh nonce. */
export type CounterClient = Pick<BrokerClient, 'readCounter' | 'advanceCounter'>;

/**
 * The anchor in the hospital's broker: its monotonic counter `records-log`, which no host of ours can
 * set back. What a restored disk lacks is noticed at start and, by every replica, while it runs. The
 * party says to the broker itself that entries are given up (`BrokerClient.resetCounter`).
 */
export function createBrokerAnchor(options: {
  readonly client: CounterClient;
  /** The counter of the manifest; `records-log` unless told. */
  readonly counter?: string;
}): HeadAnchor {
  const { client, counter = ANCHOR_NAME } = options;
  return {
    async read(): Promise<Anchored | undefined> {
      const verdict = await ask(() => client.readCounter(counter));
      if (!verdict.ok) throw unavailable(verdict.code);
      const { value, digest } = verdict.claims;
      return value === 0 ? undefined : { value, hash: decodeHex(digest, 'anchored log head') };
    },
    async advance(before, next) {
      const verdict = await ask(() =>
        client.advanceCounter(counter, {
          expected: before?.value ?? 0,
          next: next.value,
          digest: encodeHex(next.hash),
        }),
      );
      if (verdict.ok) return true;
      if (verdict.code === 'counter_conflict') return false;
      throw unavailable(verdict.code);
    },
  };
}

async function ask<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    throw new UnavailableError('unreachable', 'key broker: counter', { cause: error });
  }
}

/** A receipt that does not count is as good as none: the log is not anchored by it. */
const unavailable = (code: string): UnavailableError =>
  new UnavailableError('bad_answer', `key broker: counter: ${code}`);
