import { asBytes } from '@cloister/bytes';
import { importSealingKey, KEY_LENGTH, type Random, type SealingKey } from '@cloister/sealing';
import { ConfigError, errorCode } from '@cloister/service';
import type { AnchorSecrets } from './store/head-anchor.ts';

const SECRET = 'records-tenant-key';

/**
 * The tenant key: sealed to the platform now, released by the hospital's broker later (design 4).
 * It is made with a database, and never for one that is there already: that would only hide what
 * can no longer be opened.
 */
export async function loadTenantKey(
  secrets: AnchorSecrets,
  random: Random,
  databaseExists: boolean,
): Promise<SealingKey> {
  try {
    return await importSealingKey('tenant', asBytes(await secrets.get(SECRET)));
  } catch (error) {
    if (errorCode(error) !== 'secret_missing') throw error;
    if (databaseExists)
      throw new ConfigError('data: the database is there, and the key that opens it is not', {
        cause: error,
      });
  }
  const raw = random(KEY_LENGTH);
  await secrets.put(SECRET, raw);
  return importSealingKey('tenant', raw);
}
