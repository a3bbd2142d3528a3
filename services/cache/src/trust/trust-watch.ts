import { parseManifestFile, verifyManifest, type TrustedManifest } from '@cloister/attestation';
import { MalformedError } from '@cloister/bytes';
import { ConfigError } from '@cloister/service';
import type { GateTrust } from './authenticate.ts';
import { rolesOf } from './roles.ts';

/** What a watch over the manifest needs. */
export interface TrustWatchOptions {
  readonly first: TrustedManifest;
  /** Reads the manifest's file. */
  readonly read: () => Promise<string>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told when another manifest is in force. */
  readonly onChange: (trust: GateTrust) => void;
  /** Told, once for each text, why the file's content does not count. */
  readonly onRefused: (code: string) => void;
}

/** The manifest in force, and whether the file says something else. */
export interface TrustWatch {
  current(): GateTrust;
  /** Whether the file holds what is in force. */
  isCurrent(): boolean;
  /** Looks at the file. */
  check(): Promise<void>;
}

/**
 * Follows the manifest's file: a successor that is signed as rule 2 wants takes effect at once,
 * anything else is refused, and what was in force stays. Callers of the old manifest are bridged
 * for one lease. Throws ConfigError where the first manifest's roles cannot be read.
 */
export function watchTrust(options: TrustWatchOptions): TrustWatch {
  const { read, now, onChange, onRefused } = options;
  let trust: GateTrust = { manifest: options.first, roles: rolesOf(options.first) };
  let seen: string | undefined;
  let isCurrent = true;
  const refuse = (code: string): void => {
    isCurrent = false;
    onRefused(code);
  };
  const follow = async (text: string): Promise<void> => {
    const { manifest, signatures } = parseManifestFile(text);
    const before = trust.manifest;
    const result = await verifyManifest(manifest, signatures, {
      pinned: undefined,
      predecessor: before,
    });
    if (result.ok) {
      const until = now() + before.manifest.lease * 1000;
      trust = {
        manifest: result.claims,
        roles: rolesOf(result.claims),
        before: { manifest: before, until },
      };
      isCurrent = true;
      onChange(trust);
      return;
    }
    const same = await verifyManifest(manifest, signatures, { pinned: undefined });
    if (same.ok && same.claims.id === before.id) isCurrent = true;
    else refuse(result.code);
  };
  return {
    current: () => trust,
    isCurrent: () => isCurrent,
    async check() {
      let text: string;
      try {
        text = await read();
      } catch {
        // It may be in the middle of being replaced: what is in force stays.
        if (seen !== '') refuse('unreadable');
        seen = '';
        return;
      }
      if (text === seen) return;
      seen = text;
      try {
        await follow(text);
      } catch (error) {
        if (error instanceof MalformedError) refuse('malformed');
        else if (error instanceof ConfigError) refuse('roles');
        else throw error;
      }
    },
  };
}
