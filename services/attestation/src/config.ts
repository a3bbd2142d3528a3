import * as v from 'valibot';
import {
  integerSetting,
  pathSetting,
  serviceSettings,
  switchSetting,
  urlSetting,
  type DeepReadonly,
} from '@cloister/service';

/** Settings of the attestation service. */
export const configSchema = v.strictObject({
  ...serviceSettings,
  /** A bundle, an endorsements object (design 3.7), or a folder of them or of Intel's documents. */
  collateral: v.optional(pathSetting()),
  /** A PCCS, asked for Intel's collateral where none at hand is good. */
  pccs: v.optional(urlSetting()),
  /** PEM of the certificates that may sign policies at first: makes an isolated instance. */
  isolated: v.optional(pathSetting()),
  /** The OpenID provider whose bearer tokens manage; without one, nobody does. */
  managementIssuer: v.optional(urlSetting()),
  managementAudience: v.optional(v.pipe(v.string(), v.minLength(1)), 'https://attest.azure.net'),
  /** PEM files; both or neither. */
  tlsCert: v.optional(pathSetting()),
  tlsKey: v.optional(pathSetting()),
  tokenAlg: v.optional(v.picklist(['RS256', 'ES256']), 'RS256'),
  /** A new signing key is made when the last is so old; 0: only when one is asked for. */
  keyDays: v.optional(integerSetting(0, 3650), 0),
  /** How long a new key is published before it signs. */
  keyOverlapHours: v.optional(integerSetting(0, 8760), 24),
  /** Requests a second from one address, to attest and for all else; 0: no limit. */
  attestRate: v.optional(integerSetting(0, 1_000_000), 0),
  manageRate: v.optional(integerSetting(0, 1_000_000), 500),
  /** Makes the signing key if there is none, prints the thumbprints of the keys, and ends. */
  prepare: v.optional(switchSetting(), false),
});

/** The settings, as read. */
export type Config = DeepReadonly<v.InferOutput<typeof configSchema>>;
