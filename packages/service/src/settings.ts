import * as v from 'valibot';

/** A whole number within bounds, as a number or (from flags and the environment) as text. */
export function integerSetting(min: number, max: number): v.GenericSchema<number | string, number> {
  return v.pipe(
    v.union([v.number(), v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number))]),
    v.integer(),
    v.minValue(min),
    v.maxValue(max),
  );
}

/** Yes or no. */
export function switchSetting(): v.GenericSchema<boolean | string, boolean> {
  return v.union([
    v.boolean(),
    v.pipe(
      v.picklist(['true', 'false']),
      v.transform((text) => text === 'true'),
    ),
  ]);
}

/** A file or a folder. */
export function pathSetting(): v.GenericSchema<string, string> {
  return v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
}

/** An http or https URL without credentials, query and fragment; without a slash at its end. */
export function urlSetting(): v.GenericSchema<string, string> {
  return v.pipe(
    v.string(),
    v.check((text) => {
      const url = URL.parse(text);
      return (
        url !== null &&
        /^https?:$/.test(url.protocol) &&
        url.username + url.password + url.search + url.hash === ''
      );
    }, 'an http(s) URL'),
    v.transform((text) => text.replace(/\/+$/, '')),
  );
}

/** Origins, as an array or separated by commas. */
export function originsSetting(): v.GenericSchema<string | string[], string[]> {
  return v.pipe(
    v.union([v.array(v.string()), v.string()]),
    v.transform((given) => (typeof given === 'string' ? given.split(',') : given)),
    v.transform((given) => given.map((origin) => origin.trim()).filter((text) => text !== '')),
    v.check(
      (origins) => origins.every((origin) => URL.parse(origin)?.origin === origin),
      'origins',
    ),
  );
}

/** What every service can be told; spread it into the service's own `v.strictObject`. */
export const serviceSettings = {
  /** 0 takes any free port. */
  port: v.optional(integerSetting(0, 65_535), 0),
  host: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(255)), '127.0.0.1'),
  /** How others reach this service, where that is not the address on which it listens. */
  publicUrl: v.optional(urlSetting()),
  /** The folder with this service's own state. */
  data: v.optional(pathSetting()),
  /** The folder of this machine's simulated platform. */
  platform: v.optional(pathSetting()),
  /** The trust manifest with its signatures. */
  manifest: v.optional(pathSetting()),
  /** The attestation service. */
  attestation: v.optional(urlSetting()),
  /** Who may call from a browser. */
  portalOrigin: v.optional(originsSetting(), []),
  /** Where `/metrics` is served; absent: nowhere. */
  metricsPort: v.optional(integerSetting(0, 65_535)),
} as const;

/** The key brokers of parties: `hospital=http://…,diagnostics=http://…`. Addresses only. */
export function brokersSetting(): v.GenericSchema<string, Readonly<Record<string, string>>> {
  return v.pipe(
    v.string(),
    v.transform((text) => text.split(',').map((pair) => pair.trim().split('='))),
    v.check(
      (pairs) => pairs.every(([party = '', url = '', ...rest]) => isBroker(party, url, rest)),
      'party=url, separated by commas',
    ),
    v.transform((pairs) =>
      Object.fromEntries(
        pairs.map(([party = '', url = '']) => [party, url.replace(/\/+$/, '')] as const),
      ),
    ),
  );
}

function isBroker(party: string, url: string, rest: readonly string[]): boolean {
  if (rest.length > 0 || !/^[a-z][a-z0-9-]{0,62}$/.test(party)) return false;
  return v.safeParse(urlSetting(), url).success;
}
