import { hkdfSync } from 'node:crypto';
import type { Kem, SecretVersion } from '@cloister/attestation';
import { canonicalJson } from '@cloister/bytes';
import { type ChannelKeys, deriveChannelKeys } from '@cloister/channel';
import { currentVersion } from '@cloister/client';
import type { HpkePrimitives } from '@cloister/crypto';
import { ConfigError } from '@cloister/service';
import type { ChannelKeySource, DatedKeys } from '../channel-keys.ts';
import type { KeyVersions } from './released-keys.ts';

/** What the source of derived channel keys works with. */
export interface DerivedChannelKeysOptions {
  /** The tenant key as it was released last, under a lease that somebody keeps. */
  readonly secret: () => KeyVersions;
  readonly deployment: string;
  /** What the manifest admits now: the first one is used. */
  readonly kems: () => readonly Kem[];
  /** Seconds. */
  readonly lease: () => number;
  readonly now: () => Date;
  /** WebCrypto unless given. */
  readonly primitives?: HpkePrimitives | undefined;
}

const DAY = 86_400;

/**
 * The channel's keys where the hospital has a vault and no broker: no vault holds X-Wing keys, so
 * each day's key is derived from the tenant key. All replicas derive the same, and open messages to
 * yesterday's key for one lease and to tomorrow's at once: their clocks need not agree to the second.
 * What is lost: whoever learns a tenant key opens what was sent in all of its days.
 */
export function createDerivedChannelKeys(options: DerivedChannelKeysOptions): ChannelKeySource {
  const { secret, deployment, kems, lease, now, primitives } = options;
  let derived = new Map<string, Promise<ChannelKeys>>();
  return {
    async load() {
      const at = now();
      const seconds = at.getTime() / 1000;
      const today = Math.floor(seconds / DAY);
      const released = secret();
      const current = currentVersion(released, at);
      if (current === undefined) throw new ConfigError('tenant-key: none has begun');
      const [kem = 'x-wing'] = kems();
      const next = new Map<string, Promise<ChannelKeys>>();
      const keysOf = (version: SecretVersion, day: number): Promise<ChannelKeys> => {
        const name = `${kem} ${version.version} ${day}`;
        const keys =
          next.get(name) ??
          derived.get(name) ??
          deriveChannelKeys({
            kem,
            keyId: keyIdOf(version.version, day),
            material: materialOf(version, { deployment, day, kem }),
            primitives,
          });
        next.set(name, keys);
        return keys;
      };
      const dated = released.versions.flatMap((version) => {
        // A tenant key that another took the place of: for one lease, as a broker does it.
        const replaced = version.version < current.version ? current.from + lease() : Infinity;
        return [today - 1, today, today + 1].flatMap((day) => {
          const until = Math.min((day + 1) * DAY + lease(), replaced);
          return until > seconds ? [{ version, day, until }] : [];
        });
      });
      const accepted = await Promise.all(
        dated.map(
          async ({ version, day, until }): Promise<DatedKeys> => ({
            keys: await keysOf(version, day),
            until: until * 1000,
          }),
        ),
      );
      const shown = await keysOf(current, today);
      derived = next;
      return { shown, accepted };
    },
  };
}

/** HKDF-SHA-256 (RFC 5869) of the tenant key; what it is for and when stands in the info. */
function materialOf(
  { value }: SecretVersion,
  info: { readonly deployment: string; readonly day: number; readonly kem: Kem },
): Uint8Array<ArrayBuffer> {
  const label = canonicalJson({ use: 'cloister-channel-key', ...info });
  return new Uint8Array(hkdfSync('sha256', value, new Uint8Array(0), label, 32));
}

/** Of the keys that are open at one time no two have the same id: 32 days, and 8 tenant keys. */
function keyIdOf(version: number, day: number): number {
  return (day % 32) + 32 * (version % 8);
}
