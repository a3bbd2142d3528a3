import * as v from 'valibot';
import { MalformedError, parseJson } from '@cloister/bytes';
import { ConfigError } from '@cloister/service';
import { type Account, accountSchema } from './accounts.ts';

/**
 * The demonstration accounts of a file: an array. Nobody signs in with them where the parties
 * agreed on a production profile (design 2.1, rule 1): then the file itself is an error.
 */
export async function loadAccounts(
  file: string | undefined,
  profile: 'production' | 'dev',
  readFile: (path: string) => Promise<string>,
): Promise<readonly Account[]> {
  if (file === undefined) return [];
  if (profile !== 'dev')
    throw new ConfigError('accounts: the manifest allows no demonstration accounts');
  let given: unknown;
  try {
    given = parseJson(await readFile(file), 'accounts');
  } catch (error) {
    const why = error instanceof MalformedError ? error.message : 'cannot be read';
    throw new ConfigError(`accounts: ${why}`, { cause: error });
  }
  const result = v.safeParse(v.array(accountSchema), given);
  if (!result.success)
    throw new ConfigError(`accounts: ${v.getDotPath(result.issues[0]) ?? 'not an array'}`);
  return result.output;
}
