import type { Kem } from '@cloister/attestation';
import type { Secrets } from '@cloister/attester';
import {
  type ChannelKeys,
  createChannelKeys,
  exportChannelKeys,
  importChannelKeys,
} from '@cloister/channel';
import type { HpkePrimitives } from '@cloister/crypto';
import { errorCode } from '@cloister/service';

/** A key of the channel, and until when messages to it are opened. */
export interface DatedKeys {
  readonly keys: ChannelKeys;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** The keys of the channel at a moment. */
export interface ChannelKeySet {
  /** The key that stands in the runtime data. */
  readonly shown: ChannelKeys;
  /** All that open messages: the one shown, the one before while it lives, the next one. */
  readonly accepted: readonly DatedKeys[];
}

/**
 * Where the channel's keys come from. All replicas of a deployment get the same, and get each before
 * any of them shows it: whatever one was sent, all can open.
 */
export interface ChannelKeySource {
  load(): Promise<ChannelKeySet>;
}

/** What channel keys in sealed secrets are made with. */
export interface SealedChannelKeysOptions {
  readonly secrets: Required<Secrets>;
  readonly kem: Kem;
  readonly now: () => Date;
  /** WebCrypto unless given. */
  readonly primitives?: HpkePrimitives;
}

const HOUR = 3600_000;
/** A key lives 24 hours (design 5): one before it is shown, 22 shown, one after. */
const SHOWN_MS = 22 * HOUR;
const AHEAD_MS = HOUR;
const AFTER_MS = HOUR;

const dated = (keys: ChannelKeys, span: number): DatedKeys => ({
  keys,
  until: (span + 1) * SHOWN_MS + AFTER_MS,
});

/**
 * Channel keys in the sealed secrets that replicas share: random, one for each span of time, made by
 * whichever replica first needs it, and forgotten when they end.
 */
export function createSealedChannelKeys(options: SealedChannelKeysOptions): ChannelKeySource {
  const { secrets, kem, now, primitives } = options;
  const nameOf = (span: number): string => `records-channel-key-${kem}-${span}`;

  const find = async (span: number): Promise<ChannelKeys | undefined> => {
    try {
      return await importChannelKeys(await secrets.get(nameOf(span)), { primitives });
    } catch (error) {
      // Lost or spoilt, it is replaced: nothing that is stored depends on it.
      if (['secret_missing', 'secret_tampered'].includes(errorCode(error))) return undefined;
      throw error;
    }
  };
  const make = async (span: number): Promise<ChannelKeys> => {
    const found = await find(span);
    if (found !== undefined) return found;
    const keys = await createChannelKeys({ kem, keyId: span % 256, primitives });
    const name = nameOf(span);
    if (await secrets.create(name, exportChannelKeys(keys))) return keys;
    const other = await find(span);
    if (other !== undefined) return other;
    await secrets.put(name, exportChannelKeys(keys));
    return keys;
  };

  return {
    async load() {
      const at = now().getTime();
      const span = Math.floor(at / SHOWN_MS);
      const shown = await make(span);
      const accepted = [dated(shown, span)];
      const begun = at - span * SHOWN_MS;
      const before = begun < AFTER_MS ? await find(span - 1) : undefined;
      if (before !== undefined) accepted.push(dated(before, span - 1));
      if (begun >= SHOWN_MS - AHEAD_MS) accepted.push(dated(await make(span + 1), span + 1));
      await Promise.all(
        [span - 2, ...(begun < AFTER_MS ? [] : [span - 1])].map(nameOf).map(secrets.remove),
      );
      return { shown, accepted };
    },
  };
}
