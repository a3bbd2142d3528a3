import type { Secrets } from '@cloister/attester';
import { asBytes } from '@cloister/bytes';
import { importSealingKey, KEY_LENGTH, type Random, type SealingKey } from '@cloister/sealing';
import { ConfigError, errorCode } from '@cloister/service';

const SECRET = 'records-tenant-key';

/**
 * The tenant key: sealed to the platform now, released by the hospital's broker later (design 4);
 * the same for all replicas. It is made with a log, and never for one that has begun: that would
 * only hide what can no longer be opened.
 */
export async function loadTenantKey(
  secrets: Secrets,
  random: Random,
  hasBegun: () => Promise<boolean>,
): Promise<SealingKey> {
  const kept = await findKey(secrets);
  if (kept !== undefined) return kept;
  if (secrets.create === undefined || (await hasBegun()))
    throw new ConfigError('data: the database is there, and the key that opens it is not');
  const raw = random(KEY_LENGTH);
  // Of replicas that start together one makes the key, and the others find it.
  if (await secrets.create(SECRET, raw)) return importSealingKey('tenant', raw);
  return loadTenantKey(secrets, random, () => Promise.resolve(true));
}

async function findKey(secrets: Secrets): Promise<SealingKey | undefined> {
  try {
    return await importSealingKey('tenant', asBytes(await secrets.get(SECRET)));
  } catch (error) {
    if (errorCode(error) === 'secret_missing') return undefined;
    throw error;
  }
}
