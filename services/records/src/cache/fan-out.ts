import { encodeUtf8, equalBytes } from '@cloister/bytes';
import type { Cache } from '@cloister/service';
import type { Ledger } from '../store/ledger.ts';

/** What a fan-out works with. */
export interface FanOutOptions {
  readonly ledger: Pick<Ledger, 'onCommit' | 'refresh'>;
  readonly cache: Cache;
  /** The name of this process among the replicas. */
  readonly replica: string;
  readonly onFailure: (error: unknown) => void;
}

const CHANNEL = 'log';

/**
 * Tells the other replicas at once that the log has grown, so that who waits there for events need
 * not wait for the next look. A hint only: lost or invented, it changes when they look, not what
 * they see. Gives the function that ends it.
 */
export async function startFanOut(options: FanOutOptions): Promise<() => Promise<void>> {
  const { ledger, cache, replica, onFailure } = options;
  const own = encodeUtf8(replica);
  let busy = false;
  let again = false;
  const tell = (): void => {
    again = busy;
    if (busy) return;
    busy = true;
    cache
      .publish(CHANNEL, own)
      .catch(onFailure)
      .finally(() => {
        busy = false;
        // What was written in the meantime is told together.
        if (again) tell();
      });
  };
  const hear = (message: Uint8Array): void => {
    if (!equalBytes(message, own)) ledger.refresh().catch(onFailure);
  };
  // Where the role of the manifest has no channels, each replica looks by itself.
  const unsubscribe = await cache.subscribe(CHANNEL, hear).catch((error: unknown) => {
    onFailure(error);
    return undefined;
  });
  const off = ledger.onCommit(tell);
  return async () => {
    off();
    await unsubscribe?.();
  };
}
