export type { Cache, SetOptions, Unsubscribe } from './cache/cache.ts';
export type { CacheFault } from './cache/cache-error.ts';
export {
  createCacheSealing,
  SEALING_OVERHEAD,
  type CacheSealing,
  type CacheSealingOptions,
} from './cache/cache-sealing.ts';
export { connectToGate, type GateConnection } from './cache/connect-to-gate.ts';
export { createMemoryCache, type MemoryCacheOptions } from './cache/memory-cache.ts';
export { createRedisCache, type RedisCacheOptions } from './cache/redis-cache.ts';
export { createRedisLink, type RedisLink, type RedisLinkOptions } from './cache/redis-link.ts';
export {
  openRespConnection,
  type RespConnection,
  type RespConnectionOptions,
} from './cache/resp-connection.ts';
export { RespError, RespReader, type RespFrame, type RespReply } from './cache/resp-reply.ts';
export { withFallback } from './cache/with-fallback.ts';
export {
  loadConfig,
  type ConfigSources,
  type DeepReadonly,
  type SettingsSchema,
} from './config.ts';
export { ConfigError } from './config-error.ts';
export { cors } from './cors.ts';
export { parseFlags } from './flags.ts';
export {
  createHttpClient,
  type Fetch,
  type HttpClient,
  type HttpClientOptions,
} from './http-client.ts';
export {
  createLog,
  errorCode,
  errorPlace,
  opaqueId,
  routeTemplate,
  type Log,
  type LogEvents,
  type LogField,
  type SafeText,
} from './log.ts';
export { createMetrics, type Labels, type Metrics } from './metrics.ts';
export { nodeChannelPrimitives } from './node-channel-primitives.ts';
export { NODE_EVIDENCE_CRYPTO } from './node-evidence-crypto.ts';
export { needed } from './needed.ts';
export { problem } from './problem.ts';
export { runMain, type MainProcess } from './run-main.ts';
export { serve, untilSignal, type ServeOptions, type Serving, type SignalSource } from './serve.ts';
export { serveMetrics } from './serve-metrics.ts';
export {
  createServiceApp,
  type Health,
  type SeenRequest,
  type ServiceAppOptions,
} from './service-app.ts';
export { followHeads, type FollowOptions } from './lease/follow-heads.ts';
export { guardByLeases } from './lease/guard-by-leases.ts';
export { watchManifest, type ManifestWatch } from './lease/watch-manifest.ts';
export { keepLease, type HeldLease, type LeaseOptions } from './lease/keep-lease.ts';
export {
  brokersSetting,
  integerSetting,
  originsSetting,
  pathSetting,
  serviceSettings,
  switchSetting,
  urlSetting,
} from './settings.ts';
export { silenceExpectedWarnings, type WarningSource } from './silence-expected-warnings.ts';
export { loadTrust, type TrustOptions } from './trust.ts';
export { watchText, type TextWatch } from './watch-text.ts';
export { UnavailableError, type UnavailableCode } from './unavailable-error.ts';
export { openStore } from './store/open-store.ts';
export { openPostgresStore, type PostgresStoreOptions } from './store/postgres-store.ts';
export { openSqliteStore, type SqliteStoreOptions } from './store/sqlite-store.ts';
export type {
  Batch,
  Marker,
  Store,
  StoredValue,
  StoreEntry,
  StoreHead,
  ValueChange,
} from './store/store.ts';
export { StoreError, type StoreErrorCode } from './store/store-error.ts';
