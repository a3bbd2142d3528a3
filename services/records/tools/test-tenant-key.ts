/** Tenant keys for tests: the same bytes for the same version. Not part of the service. */
import { importSealingKey } from '@cloister/sealing';
import type { TenantKey } from '../src/store/tenant-keys.ts';

/** A tenant key of that version, which began at 1970. */
export async function testTenantKey(version = 1): Promise<TenantKey> {
  const key = await importSealingKey('tenant', new Uint8Array(32).fill(6 + version));
  return { version, key, from: new Date(0) };
}
