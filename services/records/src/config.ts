import * as v from 'valibot';
import {
  type DeepReadonly,
  brokersSetting,
  integerSetting,
  pathSetting,
  serviceSettings,
  urlSetting,
} from '@cloister/service';

/** Settings of the records service: addresses, sizes and places only (design 2.1, rule 1). */
export const configSchema = v.strictObject({
  ...serviceSettings,
  /** Addresses of inference services, separated by commas; the manifest decides about trust. */
  inference: v.optional(
    v.pipe(
      v.union([v.array(v.string()), v.string()]),
      v.transform((given) => (typeof given === 'string' ? given.split(',') : given)),
      v.array(urlSetting()),
      v.minLength(1),
    ),
  ),
  /** The file with the demonstration accounts; used only where the manifest's profile is `dev`. */
  accounts: v.optional(pathSetting()),
  /** Most pages of 4 KiB that an embedded database may have; without end unless told. */
  maxPages: v.optional(integerSetting(32, 2 ** 31)),
  /** A PostgreSQL server instead of the embedded database: its URL, or its UNIX socket's folder. */
  postgres: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^(?:postgres(?:ql)?:\/\/\S|\/)/),
      v.transform((place) => (place.startsWith('/') ? socketUrl(place) : place)),
    ),
  ),
  /** The folder of the sealed blobs; replicas share it. In the data folder unless told. */
  blobs: v.optional(pathSetting()),
  /** The file with what the hospital's keys signed over a database that was restored. */
  restore: v.optional(pathSetting()),
  /** The folder of the sealed anchor, where no broker has a counter for it. In the data folder unless told. */
  secrets: v.optional(pathSetting()),
  /** The cache gate's plain surface, where it gives evidence; without it there is no shared cache. */
  cache: v.optional(urlSetting()),
  /** Where the cache gate speaks Redis' protocol: a port on the host of `cache`. */
  cachePort: v.optional(integerSetting(1, 65_535)),
  /** The key brokers: `hospital=<url>,diagnostics=<url>`. The manifest decides about trust. */
  brokers: v.optional(brokersSetting()),
  /** The file with the access token for the vault's interface, where the manifest names a vault. */
  vaultToken: v.optional(pathSetting()),
});

/** The database `cloister` of the user `cloister` on a server behind a UNIX socket. */
const socketUrl = (folder: string): string =>
  `postgres://cloister@localhost/cloister?host=${encodeURIComponent(folder)}`;

/** The settings as they were read. */
export type Config = DeepReadonly<v.InferOutput<typeof configSchema>>;
