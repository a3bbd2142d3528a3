import type { TrustedManifest } from '@cloister/attestation';
import { ConfigError } from '@cloister/service';
import { parseRole, type Role } from '../access/role.ts';

/** The roles of a manifest, by service. Throws ConfigError where one cannot be read. */
export function rolesOf(trust: TrustedManifest): ReadonlyMap<string, Role> {
  return new Map(rulesOf(trust).map(([name, rules]) => [name, parseRole(name, rules)]));
}

/**
 * The roles of a manifest that can be read. One that cannot gives nothing to anybody: the manifest
 * counts all the same, for what it takes away must not wait for what it gives.
 */
export function readableRolesOf(trust: TrustedManifest): {
  readonly roles: ReadonlyMap<string, Role>;
  /** How many cannot be read. */
  readonly unreadable: number;
} {
  const roles = new Map<string, Role>();
  let unreadable = 0;
  for (const [name, rules] of rulesOf(trust))
    try {
      roles.set(name, parseRole(name, rules));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      unreadable += 1;
    }
  return { roles, unreadable };
}

function rulesOf({ manifest }: TrustedManifest): readonly (readonly [string, string])[] {
  return Object.entries(manifest.cache?.roles ?? {});
}
