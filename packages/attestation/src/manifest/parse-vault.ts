import type { Shape } from '../shape.ts';
import type { VaultAgreement, VaultKey } from './manifest.ts';

/** An origin that a certificate can name: no user, no path, no query. */
const VAULT = /^https:\/\/[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9]\d{0,4})?$/u;
/** Names of keys and their versions as Azure Key Vault has them. */
const KEY = /^[0-9A-Za-z-]{1,127}$/u;
const VERSION = /^[0-9a-f]{32}$/u;
/** Our own number of a version: it stands in what the version wraps. */
const NUMBER = /^[1-9]\d{0,8}$/u;
const MOST_VERSIONS = 16;

/** The vault of a party that has no broker. */
export function parseVault(shape: Shape): VaultAgreement {
  const members = shape.members(['url', 'roots']);
  return {
    url: members.get('url').string(VAULT),
    roots: members.get('roots').distinct((root) => root.hex(32), { min: 1, max: 16 }),
  };
}

/** Which key of its owner's vault a secret is. */
export function parseVaultKey(shape: Shape): VaultKey {
  const members = shape.members(['key', 'versions']);
  const versions = members.get('versions');
  const entries = versions.entries(NUMBER);
  if (entries.length === 0 || entries.length > MOST_VERSIONS) versions.fail();
  const seen = new Set<string>();
  const read = entries.map(([number, version]) => {
    const id = version.string(VERSION);
    if (seen.has(id)) version.fail();
    seen.add(id);
    return [number, id] as const;
  });
  return { key: members.get('key').string(KEY), versions: Object.fromEntries(read) };
}
