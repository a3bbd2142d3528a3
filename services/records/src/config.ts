import * as v from 'valibot';
import { integerSetting, pathSetting, serviceSettings, urlSetting } from '@cloister/service';

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
  /** Most pages of 4 KiB that the database may have; without end unless told. */
  maxPages: v.optional(integerSetting(32, 2 ** 31)),
});
