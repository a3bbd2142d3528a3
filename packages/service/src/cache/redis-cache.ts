import type { Bytes } from '@cloister/bytes';
import { UnavailableError } from '../unavailable-error.ts';
import type { CacheFault } from './cache-error.ts';
import { createCacheSealing, HEADER_LENGTH, type CacheSealingOptions } from './cache-sealing.ts';
import type { Cache } from './cache.ts';
import { RespError, type RespReply } from './resp-reply.ts';
import type { RedisLink } from './redis-link.ts';
import { createSeenVersions } from './seen-versions.ts';

/** What a cache in Redis is made of. */
export interface RedisCacheOptions extends CacheSealingOptions {
  readonly link: RedisLink;
  /** What all names begin with; the role in the manifest must allow `~<prefix>*`, `&<prefix>*`. */
  readonly prefix: string;
  readonly now: () => Date;
  /** Told when something in Redis was not what this process or its siblings put there. */
  readonly onFault?: (fault: CacheFault) => void;
  /** How many names' versions are remembered; 100 000 unless told. */
  readonly capacity?: number;
}

/** A message that was published so long ago is not taken any more. */
const MESSAGE_MS = 60_000;

/**
 * A cache in Redis, behind the gate, of which neither Redis nor its host learns more than sizes
 * and times: values and messages are sealed, names are blinded (spec/cache-and-storage.md 1.5).
 * A value that stood elsewhere, or is older than what was seen, is not given but reported. Counters
 * are plain numbers under blinded names: the host can change them.
 */
export function createRedisCache(options: RedisCacheOptions): Cache {
  const { link, prefix, keyspace, now, onFault } = options;
  const sealing = createCacheSealing(options);
  const seen = createSeenVersions({
    now,
    ...(options.capacity === undefined ? {} : { capacity: options.capacity }),
  });
  const nameOf = (key: string, epoch = sealing.epoch): string =>
    `${prefix}${keyspace}:${sealing.blind(key, epoch)}`;
  const send = async (args: readonly (string | Uint8Array)[]): Promise<RespReply> => {
    try {
      return await link.send(args);
    } catch (error) {
      if (!(error instanceof RespError)) throw error;
      throw new UnavailableError('bad_answer', `cache: ${error.code}`, { cause: error });
    }
  };
  /** Opens what stood under a key; what does not count is reported. */
  const open = (key: string, name: string, sealed: Uint8Array): Bytes | undefined => {
    const opened = sealing.open(key, sealed);
    const fault = typeof opened === 'string' ? opened : undefined;
    if (typeof opened !== 'string' && seen.accept(name, opened.version)) return opened.value;
    onFault?.(fault ?? 'replayed');
    return undefined;
  };
  return {
    async get(key) {
      for (const epoch of sealing.epochs) {
        const name = nameOf(key, epoch);
        const reply = await send(['GET', name]);
        if (reply instanceof Uint8Array) return open(key, name, reply);
      }
      return undefined;
    },
    async set(key, value, { ttlMs }) {
      const name = nameOf(key);
      const version = seen.next();
      const sealed = sealing.seal(key, version, value);
      await send(['SET', name, sealed, 'PX', wholeMs(ttlMs)]);
      seen.accept(name, version);
    },
    async delete(key) {
      const names = sealing.epochs.map((epoch) => nameOf(key, epoch));
      // What is deleted must not come back: it is older than now.
      for (const name of names) seen.accept(name, seen.next());
      await send(['DEL', ...names]);
    },
    async increment(key, { by = 1, ttlMs }) {
      const name = nameOf(`counter ${key}`);
      const [sum] = await Promise.all([
        send(['INCRBY', name, String(by)]),
        send(['PEXPIRE', name, wholeMs(ttlMs), 'NX']),
      ]);
      if (typeof sum !== 'number') throw new UnavailableError('bad_answer', 'cache: counter');
      return sum;
    },
    async publish(channel, message) {
      const sealed = sealing.seal(`channel ${channel}`, seen.next(), message);
      await send(['PUBLISH', nameOf(`channel ${channel}`), sealed]);
    },
    async subscribe(channel, listener) {
      const key = `channel ${channel}`;
      // Messages cross in the network: each is taken once, in any order.
      // Two replicas may give the same version in one millisecond; their nonces still differ.
      const taken = new Map<string, number>();
      const hear = (sealed: Uint8Array): void => {
        const opened = sealing.open(key, sealed);
        if (typeof opened === 'string') {
          onFault?.(opened);
          return;
        }
        const { version, value } = opened;
        const oldest = (now().getTime() - MESSAGE_MS) * 1000;
        const id = Buffer.from(sealed.subarray(0, HEADER_LENGTH)).toString('latin1');
        if (version < oldest || taken.has(id)) {
          onFault?.('replayed');
          return;
        }
        taken.set(id, version);
        for (const [old, then] of taken) {
          if (then >= oldest) break;
          taken.delete(old);
        }
        listener(value);
      };
      const stops = await Promise.all(
        sealing.epochs.map((epoch) => link.subscribe(nameOf(key, epoch), hear)),
      );
      return async () => {
        await Promise.all(stops.map((stop) => stop()));
      };
    },
    close: () => link.close(),
  };
}

function wholeMs(ms: number): string {
  return String(Math.max(1, Math.round(ms)));
}
