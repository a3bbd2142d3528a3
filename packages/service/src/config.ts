import * as v from 'valibot';
import { MalformedError, parseJsonObject } from '@cloister/bytes';
import { ConfigError } from './config-error.ts';
import { camelCase, parseFlags } from './flags.ts';

/** A schema of settings: strict, one entry per setting. */
export type SettingsSchema = v.StrictObjectSchema<v.ObjectEntries, undefined>;

/** Where settings come from; only `main.ts` knows the process. */
export interface ConfigSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly args: readonly string[];
  /** Reads the file that `--config` names. */
  readonly readFile: (path: string) => Promise<string>;
}

/** An object whose members, at every level, cannot be assigned. */
export type DeepReadonly<T> = T extends readonly (infer U)[]
  ? readonly DeepReadonly<U>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

/**
 * The settings of a process: those of the file that `--config` (or `CLOISTER_CONFIG`) names, over
 * them the environment (`CLOISTER_PORTAL_ORIGIN` is `portalOrigin`), over them the flags
 * (`--portal-origin`). An unknown member of the file or flag is an error. Settings are addresses,
 * sizes and places of files; what decides about security stands in the trust manifest.
 */
export async function loadConfig<Schema extends SettingsSchema>(
  schema: Schema,
  { env, args, readFile }: ConfigSources,
): Promise<DeepReadonly<v.InferOutput<Schema>>> {
  const { config: flagFile, ...flags } = parseFlags(args);
  const file = flagFile ?? env['CLOISTER_CONFIG'];
  const fromFile = file === undefined ? {} : await readSettings(file, readFile);
  const fromEnv: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('CLOISTER_') || value === undefined) continue;
    const setting = camelCase(name.slice('CLOISTER_'.length).toLowerCase().replaceAll('_', '-'));
    // The environment is shared with other processes: what is not ours is not an error.
    if (Object.hasOwn(schema.entries, setting)) fromEnv[setting] = value;
  }
  const result = v.safeParse(schema, { ...fromFile, ...fromEnv, ...flags });
  if (!result.success) {
    const [issue] = result.issues;
    throw new ConfigError(`${v.getDotPath(issue) ?? 'settings'}: ${issue.expected ?? issue.type}`);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- readonly is only in the type
  return result.output as DeepReadonly<v.InferOutput<Schema>>;
}

async function readSettings(
  file: string,
  readFile: ConfigSources['readFile'],
): Promise<Record<string, unknown>> {
  try {
    return parseJsonObject(await readFile(file), 'configuration file');
  } catch (error) {
    const why = error instanceof MalformedError ? error.message : 'cannot be read';
    throw new ConfigError(`config: ${why}`, { cause: error });
  }
}
