import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomFillSync,
} from 'node:crypto';
import type { Bytes } from '@cloister/bytes';
import { ConfigError } from '../config-error.ts';
import type { CacheFault } from './cache-error.ts';

/** The secrets of a cache: of each epoch one, 32 bytes. New values are sealed by the newest. */
export interface CacheSealingOptions {
  /** Whose data they are. */
  readonly tenant: string;
  readonly keyspace: string;
  readonly secrets: ReadonlyMap<number, Uint8Array>;
}

/** Seals what goes to a cache that others run, and opens what comes back. */
export interface CacheSealing {
  /** The epoch by which is sealed now. */
  readonly epoch: number;
  /** All epochs at hand, the newest first. */
  readonly epochs: readonly number[];
  /** What the cache is told instead of a name: HMAC-SHA-256, base64url. */
  blind(key: string, epoch: number): string;
  seal(key: string, version: number, value: Uint8Array): Buffer;
  open(
    key: string,
    sealed: Uint8Array,
  ): { readonly value: Bytes; readonly version: number } | Exclude<CacheFault, 'unavailable'>;
}

const FORMAT = 1;
const IV_LENGTH = 12;
const TAG_LENGTH = 16;
/** Format, epoch, version, nonce; then the ciphertext and its tag. No two seals share it. */
export const HEADER_LENGTH: number = 1 + 4 + 8 + IV_LENGTH;
/** Bytes that a sealed value has more than its content. */
export const SEALING_OVERHEAD: number = HEADER_LENGTH + TAG_LENGTH;
/** Random nonces of 96 bits: so many seals by one key, and no more (SP 800-38D, 8.3). */
const MAX_SEALS = 2 ** 32;
const POOLED = 1024;

interface EpochKeys {
  readonly seal: Buffer;
  readonly name: Buffer;
}

/**
 * AES-256-GCM with `v1|tenant|keyspace|key|epoch|version` as additional data (spec/cache-and-
 * storage.md 1.5): a value counts only under its own key, and its version cannot be changed. The
 * keys are derived once per epoch. Tenant and key space have no `|`, epoch and version are
 * numbers: the additional data of two values are the same only if all five are. Throws ConfigError
 * for names or secrets that do not do.
 */
export function createCacheSealing(options: CacheSealingOptions): CacheSealing {
  const { tenant, keyspace, secrets } = options;
  if (![tenant, keyspace].every((name) => /^[a-z0-9][a-z0-9._-]{0,62}$/.test(name)))
    throw new ConfigError('cache: tenant or key space');
  const epochs = [...secrets.keys()].toSorted((a, b) => b - a);
  const [epoch] = epochs;
  if (epoch === undefined) throw new ConfigError('cache: no secret');
  const keys = new Map(
    Array.from(secrets, ([number, secret]): [number, EpochKeys] => {
      const isNumber = Number.isInteger(number) && number >= 0 && number < 2 ** 32;
      if (secret.length !== 32 || !isNumber) throw new ConfigError('cache: secret of an epoch');
      const derive = (purpose: string): Buffer => {
        const info = `cloister-cache|v1|${tenant}|${keyspace}|${number}|${purpose}`;
        return Buffer.from(hkdfSync('sha256', secret, new Uint8Array(0), info, 32));
      };
      return [number, { seal: derive('seal'), name: derive('name') }];
    }),
  );
  const nonces = createNonces();
  let seals = 0;
  const additional = (key: string, of: number, version: number): Buffer =>
    Buffer.from(`v1|${tenant}|${keyspace}|${key}|${of}|${version}`, 'utf8');
  return {
    epoch,
    epochs,
    blind(key, of) {
      const name = keys.get(of)?.name;
      if (name === undefined) throw new ConfigError('cache: unknown epoch');
      return createHmac('sha256', name).update(key, 'utf8').digest('base64url');
    },
    seal(key, version, value) {
      const own = keys.get(epoch);
      seals += 1;
      if (own === undefined || seals > MAX_SEALS) throw new ConfigError('cache: epoch used up');
      const sealed = Buffer.allocUnsafe(SEALING_OVERHEAD + value.length);
      sealed.writeUInt8(FORMAT, 0);
      sealed.writeUInt32BE(epoch, 1);
      sealed.writeBigUInt64BE(BigInt(version), 5);
      const iv = nonces();
      iv.copy(sealed, 13);
      const cipher = createCipheriv('aes-256-gcm', own.seal, iv);
      cipher.setAAD(additional(key, epoch, version));
      cipher.update(value).copy(sealed, HEADER_LENGTH);
      cipher.final();
      cipher.getAuthTag().copy(sealed, HEADER_LENGTH + value.length);
      return sealed;
    },
    open(key, given) {
      const sealed = Buffer.from(given.buffer, given.byteOffset, given.byteLength);
      if (sealed.length < SEALING_OVERHEAD || sealed[0] !== FORMAT) return 'tampered';
      const of = sealed.readUInt32BE(1);
      const version = Number(sealed.readBigUInt64BE(5));
      if (!Number.isSafeInteger(version)) return 'tampered';
      const own = keys.get(of);
      if (own === undefined) return 'unknown_epoch';
      const decipher = createDecipheriv(
        'aes-256-gcm',
        own.seal,
        sealed.subarray(13, HEADER_LENGTH),
        { authTagLength: TAG_LENGTH },
      );
      decipher.setAAD(additional(key, of, version));
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG_LENGTH));
      const value = new Uint8Array(sealed.length - SEALING_OVERHEAD);
      value.set(decipher.update(sealed.subarray(HEADER_LENGTH, sealed.length - TAG_LENGTH)));
      try {
        decipher.final();
      } catch {
        // The one thing that `final` can say of GCM: the tag is not that of these bytes.
        value.fill(0);
        return 'tampered';
      }
      return { value, version };
    },
  };
}

/** Random nonces, drawn many at a time: that is a third faster than one by one. */
function createNonces(): () => Buffer {
  let pool = Buffer.alloc(0);
  let at = 0;
  return () => {
    if (at === pool.length) {
      pool = randomFillSync(Buffer.alloc(POOLED * IV_LENGTH));
      at = 0;
    }
    at += IV_LENGTH;
    return pool.subarray(at - IV_LENGTH, at);
  };
}
