import * as v from 'valibot';
import {
  brokersSetting,
  integerSetting,
  serviceSettings,
  type DeepReadonly,
} from '@cloister/service';

/** Settings of the cache gate: addresses, sizes and places only (design 2.1, rule 1). */
export const configSchema = v.strictObject({
  ...serviceSettings,
  /** Redis: `unix:/path/of/redis.sock`, or `redis://127.0.0.1:6379`. Only on this machine. */
  redis: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(255))),
  /** The key brokers: `hospital=<url>,diagnostics=<url>`. The manifest decides about trust. */
  brokers: v.optional(brokersSetting()),
  /** Where clients of Redis connect, with TLS; 0 takes any free port. */
  gatePort: v.optional(integerSetting(0, 65_535), 0),
  /** Clients at once. */
  maxClients: v.optional(integerSetting(1, 65_536), 1024),
  /** Seconds until a client that does nothing is sent away. */
  idleSeconds: v.optional(integerSetting(1, 86_400), 600),
});

/** The settings as they were read. */
export type Config = DeepReadonly<v.InferOutput<typeof configSchema>>;
