import type { Bytes } from '@cloister/bytes';
import { openObject, sealObject } from './sealed-object.ts';
import { importSealingKey, KEY_LENGTH, type Random, type SealingKey } from './sealing-key.ts';

/** A new random key and the same key wrapped by the tenant key, for storage. */
export interface NewKey {
  readonly key: SealingKey;
  readonly wrapped: Bytes;
}

/**
 * Makes a patient's key (design 4): random, and kept only as wrapped by the tenant key under its
 * name. Dropping the wrap makes everything sealed under it unreadable.
 */
export async function createWrappedKey(
  tenantKey: SealingKey,
  tenant: string,
  id: string,
  random: Random,
): Promise<NewKey> {
  const raw = random(KEY_LENGTH);
  const ref = { tenant, type: 'wrapped-key', id, version: 1 };
  const wrapped = await sealObject(tenantKey, ref, raw, { random });
  const key = await importSealingKey(id, raw);
  raw.fill(0);
  return { key, wrapped };
}

/** Unwraps a key; TamperedError where it was wrapped by another tenant key or under another name. */
export async function unwrapKey(
  tenantKey: SealingKey,
  tenant: string,
  id: string,
  wrapped: Uint8Array,
): Promise<SealingKey> {
  const ref = { tenant, type: 'wrapped-key', id, version: 1 };
  const raw = await openObject(tenantKey, ref, wrapped);
  const key = await importSealingKey(id, raw);
  raw.fill(0);
  return key;
}
