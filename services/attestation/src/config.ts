import * as v from 'valibot';
import { pathSetting, serviceSettings, switchSetting, type DeepReadonly } from '@cloister/service';

/** Settings of the attestation service: addresses and places of files only. */
export const configSchema = v.strictObject({
  ...serviceSettings,
  /** A file or a folder of files with endorsements (design 3.7), one JSON object each. */
  collateral: v.optional(pathSetting()),
  /** Makes the signing key if there is none, prints the thumbprints of the keys, and ends. */
  prepare: v.optional(switchSetting(), false),
});

/** The settings, as read. */
export type Config = DeepReadonly<v.InferOutput<typeof configSchema>>;
