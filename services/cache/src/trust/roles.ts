import type { TrustedManifest } from '@cloister/attestation';
import { parseRole, type Role } from '../access/role.ts';

/** The roles of a manifest, by service. Throws ConfigError where one cannot be read. */
export function rolesOf({ manifest }: TrustedManifest): Map<string, Role> {
  return new Map(
    Object.entries(manifest.cache?.roles ?? {}).map(([name, rules]) => [
      name,
      parseRole(name, rules),
    ]),
  );
}
