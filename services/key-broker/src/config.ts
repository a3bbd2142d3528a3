import * as v from 'valibot';
import {
  integerSetting,
  pathSetting,
  serviceSettings,
  switchSetting,
  urlSetting,
  type DeepReadonly,
} from '@cloister/service';

/** Settings of the key broker: addresses and places; what decides stands in the manifest. */
export const configSchema = v.strictObject({
  ...serviceSettings,
  /** Whose broker this is. State of one party's broker opens for no other. */
  party: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,62}$/, 'the name of a party')),
  /** Where the log and the sealed secrets lie: a PostgreSQL URL; a file of `data` unless told. */
  store: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(4096))),
  /** A folder of manifest files, taken in order where they follow the one in force. */
  manifests: v.optional(pathSetting()),
  /** Where the broker that the manifest names as the witness answers. */
  witness: v.optional(urlSetting()),
  /** Where a running replica of this broker answers: it opens this one, where the party has admitted the machine. */
  replica: v.optional(urlSetting()),
  /** Where Azure Key Vault's protocol is served, over TLS; absent: nowhere. */
  vaultPort: v.optional(integerSetting(0, 65_535)),
  /** The host name in the vault's certificate and in the ids of its keys. */
  vaultHost: v.optional(
    v.pipe(v.string(), v.regex(/^[a-z0-9.-]{1,253}$/, 'a host name')),
    'localhost',
  ),
  /** Makes the broker's key if there is none, prints it for the manifest, and ends. */
  prepare: v.optional(switchSetting(), false),
});

/** The settings, as read. */
export type Config = DeepReadonly<v.InferOutput<typeof configSchema>>;
