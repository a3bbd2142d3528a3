import type { Kem, ReleasedSecret } from '@cloister/attestation';
import { importChannelKeys, type ChannelKeys } from '@cloister/channel';
import { currentVersion } from '@cloister/client';
import type { HpkePrimitives } from '@cloister/crypto';
import { importSealingKey } from '@cloister/sealing';
import { ConfigError } from '@cloister/service';
import type { ChannelKeySource, DatedKeys } from '../channel-keys.ts';
import type { TenantKey } from '../store/tenant-keys.ts';

/** The versions of a secret, as its owner's broker or vault released them: newest first. */
export type KeyVersions = Pick<ReleasedSecret, 'versions'>;

/**
 * The tenant keys that the hospital's broker or vault released (design 4): first the one that wraps what is
 * new, then those before it, which are needed until all that they wrapped is wrapped anew.
 */
export async function tenantKeysOf(secret: KeyVersions, at: Date): Promise<TenantKey[]> {
  const current = currentVersion(secret, at);
  if (current === undefined) throw new ConfigError('tenant-key: none has begun');
  const older = secret.versions.filter(({ version }) => version !== current.version);
  return Promise.all(
    [current, ...older].map(async ({ version, value, from }) => ({
      version,
      key: await importSealingKey('tenant', value.slice()),
      from: new Date(from * 1000),
    })),
  );
}

/** What the source of released channel keys works with. */
export interface ReleasedChannelKeysOptions {
  /** The newest release, under a lease that somebody keeps. */
  readonly secret: () => ReleasedSecret;
  /** What the manifest admits now. */
  readonly kems: () => readonly Kem[];
  readonly now: () => Date;
  /** WebCrypto unless given. */
  readonly primitives?: HpkePrimitives;
}

/**
 * The channel's keys as the hospital's broker releases them (design 5): the same for all replicas.
 * It makes each two leases before it is shown, so that every replica has it by then, and ends it
 * one lease after its successor began.
 */
export function createReleasedChannelKeys(options: ReleasedChannelKeysOptions): ChannelKeySource {
  const { secret, kems, now, primitives } = options;
  const imported = new Map<number, ChannelKeys>();
  const keysOf = async ({
    version,
    value,
  }: ReleasedSecret['versions'][number]): Promise<ChannelKeys> => {
    const known = imported.get(version);
    if (known !== undefined) return known;
    const keys = await importChannelKeys(value, { primitives });
    imported.set(version, keys);
    return keys;
  };
  return {
    async load() {
      const released = secret();
      const current = currentVersion(released, now());
      if (current === undefined) throw new ConfigError('channel-key: none has begun');
      const accepted = await Promise.all(
        released.versions.map(
          async (version): Promise<DatedKeys> => ({
            keys: await keysOf(version),
            until: (version.until ?? Number.POSITIVE_INFINITY) * 1000,
          }),
        ),
      );
      for (const version of imported.keys())
        if (!released.versions.some((live) => live.version === version)) imported.delete(version);
      const shown = await keysOf(current);
      const agreed = kems();
      const isAgreed = ({ config }: ChannelKeys): boolean => agreed.includes(config.kem);
      if (!isAgreed(shown)) throw new ConfigError('channel-key: a KEM not agreed on');
      return { shown, accepted: accepted.filter(({ keys }) => isAgreed(keys)) };
    },
  };
}
