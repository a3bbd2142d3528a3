import { AttesterError, type Secrets } from '@cloister/attester';
import { generateSigningKey, importSigningKey, type SigningKey } from './signing-key.ts';

const SECRET = 'token-signing-key';

/** The key of earlier starts, or a new one, which is then kept: old tokens stay verifiable. */
export async function openSigningKey(secrets: Required<Secrets> | undefined): Promise<SigningKey> {
  if (secrets === undefined) return (await generateSigningKey()).key;
  try {
    return await importSigningKey(await secrets.get(SECRET));
  } catch (error) {
    if (!(error instanceof AttesterError) || error.code !== 'secret_missing') throw error;
  }
  const { key, pkcs8 } = await generateSigningKey();
  await secrets.put(SECRET, pkcs8);
  pkcs8.fill(0);
  return key;
}
