import { hkdfSync } from 'node:crypto';
import type { Verification, VerifiedPeer } from '@cloister/attestation';
import type { TlsKey } from '@cloister/attester';
import { currentVersion } from '@cloister/client';
import {
  type Cache,
  ConfigError,
  connectToGate,
  createMemoryCache,
  createRedisCache,
  createRedisLink,
  type Log,
  routeTemplate,
  UnavailableError,
  withFallback,
} from '@cloister/service';
import type { RecordsEvents } from '../events.ts';
import type { KeyVersions } from './released-keys.ts';
import { createReplaceableCache } from './replaceable-cache.ts';

/** How the cache behind the gate is reached. */
export interface CacheOptions {
  /** Where clients of Redis connect. */
  readonly gate: { readonly host: string; readonly port: number };
  /** Asks the gate for evidence, with a nonce of our own. */
  readonly verify: () => Promise<Verification<VerifiedPeer>>;
  /** Our TLS key: its digest is in the runtime data. */
  readonly tls: TlsKey;
  readonly token: () => Promise<string>;
  /** The tenant key as it was released last: the key of the cache is derived of it. */
  readonly secret: () => KeyVersions;
  readonly tenant: string;
  readonly now: () => Date;
  readonly log: Log<RecordsEvents>;
}

/** Whether the cache was reached when it was last used. */
export interface OpenedCache {
  readonly cache: Cache;
  isReachable(): Promise<boolean>;
  /** Takes up the tenant key of now: what an older one sealed is not looked at any more. */
  rekey(): Promise<void>;
}

/**
 * What replicas share in Redis (design 3.4), behind a gate that is verified before each connection.
 * Values are sealed here; while the gate is away, or is not trusted, a cache in this process stands in.
 */
export function openCache(options: CacheOptions): OpenedCache {
  const { gate, verify, tls, token, tenant, now, log } = options;
  const link = createRedisLink({
    token,
    connect: async () => {
      const verdict = await verify();
      if (!verdict.ok) throw new UnavailableError('bad_answer', `cache gate: ${verdict.code}`);
      return connectToGate({ ...gate, peer: verdict.claims, cert: tls.cert, key: tls.key });
    },
  });
  const cacheOf = (key: CacheKey): Cache => {
    const shared = createRedisCache({
      link,
      tenant,
      keyspace: 'cache',
      prefix: 'records:',
      secrets: new Map([key]),
      now,
      onFault: (fault) => log('cache_failed', { code: routeTemplate(fault) }),
    });
    return withFallback(shared, createMemoryCache({ now }), (error) =>
      log('cache_failed', { code: routeTemplate(error.code) }),
    );
  };
  let key = cacheKey(options.secret(), now());
  const cache = createReplaceableCache(cacheOf(key));
  return {
    cache,
    async rekey() {
      const next = cacheKey(options.secret(), now());
      if (next[0] === key[0]) return;
      key = next;
      await cache.replace(cacheOf(next));
    },
    async isReachable() {
      try {
        await link.send(['PING']);
        return true;
      } catch (error) {
        if (error instanceof Error && 'code' in error) return false;
        throw error;
      }
    },
  };
}

type CacheKey = readonly [version: number, key: Uint8Array];

/** Derived of the tenant key in use: what is in the cache opens to nobody who has it not. */
function cacheKey(secret: KeyVersions, at: Date): CacheKey {
  const current = currentVersion(secret, at);
  if (current === undefined) throw new ConfigError('tenant-key: none has begun');
  const { version, value } = current;
  const derived = hkdfSync('sha256', value, new Uint8Array(0), 'cloister records cache', 32);
  return [version, new Uint8Array(derived)];
}
