import { hkdfSync } from 'node:crypto';
import type { ReleasedSecret, Verification, VerifiedPeer } from '@cloister/attestation';
import type { TlsKey } from '@cloister/attester';
import {
  type Cache,
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

/** How the cache behind the gate is reached. */
export interface CacheOptions {
  /** Where clients of Redis connect. */
  readonly gate: { readonly host: string; readonly port: number };
  /** Asks the gate for evidence, with a nonce of our own. */
  readonly verify: () => Promise<Verification<VerifiedPeer>>;
  /** Our TLS key: its digest is in the runtime data. */
  readonly tls: TlsKey;
  readonly token: () => Promise<string>;
  /** The tenant key, of which the keys of the cache are derived. */
  readonly secret: ReleasedSecret;
  readonly tenant: string;
  readonly now: () => Date;
  readonly log: Log<RecordsEvents>;
}

/** Whether the cache was reached when it was last used. */
export interface OpenedCache {
  readonly cache: Cache;
  isReachable(): Promise<boolean>;
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
  const shared = createRedisCache({
    link,
    tenant,
    keyspace: 'cache',
    prefix: 'records:',
    secrets: cacheKeys(options.secret),
    now,
    onFault: (fault) => log('cache_failed', { code: routeTemplate(fault) }),
  });
  const cache = withFallback(shared, createMemoryCache({ now }), (error) =>
    log('cache_failed', { code: routeTemplate(error.code) }),
  );
  return {
    cache,
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

/** Of each version of the tenant key one: what is in the cache opens to nobody who has it not. */
function cacheKeys({ versions }: ReleasedSecret): ReadonlyMap<number, Uint8Array> {
  return new Map(
    versions.map(({ version, value }) => [
      version,
      new Uint8Array(hkdfSync('sha256', value, new Uint8Array(0), 'cloister records cache', 32)),
    ]),
  );
}
