import { ConfigError } from '../config-error.ts';
import { openPostgresStore } from './postgres-store.ts';
import { openSqliteStore } from './sqlite-store.ts';
import type { Store } from './store.ts';

/**
 * The store that a setting names: a PostgreSQL URL, else the file of an embedded database. Rows are
 * sealed by who writes them, so the place decides about durability only, never about secrecy.
 */
export async function openStore(place: string, options: { schema?: string } = {}): Promise<Store> {
  if (/^postgres(?:ql)?:\/\//.test(place)) return openPostgresStore({ url: place, ...options });
  if (/^[a-z]+:\/\//.test(place)) throw new ConfigError('store: a file or a postgres:// URL');
  return openSqliteStore(place);
}
