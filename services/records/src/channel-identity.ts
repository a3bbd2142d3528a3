import type { EvidenceEnvelope, EvidenceSource, Kem } from '@cloister/attestation';
import type { Secrets, ServiceIdentity } from '@cloister/attester';
import { type Bytes, Reader, Writer } from '@cloister/bytes';
import {
  type ChannelKeys,
  createChannelKeys,
  encodeKeyConfigs,
  exportChannelKeys,
  importChannelKeys,
} from '@cloister/channel';
import type { HpkePrimitives } from '@cloister/crypto';
import { errorCode } from '@cloister/service';

/** What the identity of the channel is made with. */
export interface ChannelIdentityOptions {
  readonly secrets: Required<Secrets>;
  readonly kem: Kem;
  readonly now: () => Date;
  /** WebCrypto unless given. */
  readonly primitives?: HpkePrimitives;
  /** Makes the service's identity for these key configurations. */
  readonly identify: (ohttp: Bytes) => Promise<ServiceIdentity>;
}

/** The service's identity and the channel's keys, which change together. */
export interface ChannelIdentity extends EvidenceSource {
  readonly identity: ServiceIdentity;
  /** The key of the runtime data, and the one before while it lives. */
  readonly keys: () => readonly ChannelKeys[];
  /** Makes a new key where the old one is about to end. */
  readonly renew: () => Promise<void>;
}

const SECRET = 'records-channel-key';
/** Keys live 24 h (design 5); the last hour, the next one is there already. */
const LIFETIME_MS = 24 * 3600_000;
const RENEW_MS = 23 * 3600_000;

interface Kept {
  readonly keys: ChannelKeys;
  readonly madeAt: number;
}

/**
 * The channel's key: random, sealed, the same after a restart, so that nobody has to verify again
 * for it, and replaced every day.
 */
export async function createChannelIdentity(
  options: ChannelIdentityOptions,
): Promise<ChannelIdentity> {
  const { now, identify } = options;
  const age = ({ madeAt }: Kept): number => now().getTime() - madeAt;
  let previous: Kept | undefined;
  let current = await loadKey(options);
  if (current === undefined || age(current) >= RENEW_MS || age(current) < 0) {
    previous = current;
    current = await makeKey(options, current);
  }
  let kept: Kept = current;
  let identity = await identify(encodeKeyConfigs(kept.keys));
  return {
    get identity() {
      return identity;
    },
    get ohttpKeys() {
      return encodeKeyConfigs(kept.keys);
    },
    evidence: (nonce): Promise<EvidenceEnvelope> => identity.evidence(nonce),
    keys: () =>
      [kept, previous].flatMap((key) =>
        key !== undefined && age(key) < LIFETIME_MS ? [key.keys] : [],
      ),
    async renew() {
      if (age(kept) < RENEW_MS) return;
      const next = await makeKey(options, kept);
      identity = await identify(encodeKeyConfigs(next.keys));
      previous = kept;
      kept = next;
    },
  };
}

async function loadKey({
  secrets,
  kem,
  primitives,
}: ChannelIdentityOptions): Promise<Kept | undefined> {
  let stored: Uint8Array;
  try {
    stored = await secrets.get(SECRET);
  } catch (error) {
    // Lost or spoilt, it is replaced: nothing that is stored depends on it.
    if (['secret_missing', 'secret_tampered'].includes(errorCode(error))) return undefined;
    throw error;
  }
  const reader = new Reader(stored, 'channel key');
  const madeAt = Number(reader.u64le());
  const keys = await importChannelKeys(reader.rest(), { primitives });
  return keys.config.kem === kem ? { keys, madeAt } : undefined;
}

async function makeKey(
  { secrets, kem, now, primitives }: ChannelIdentityOptions,
  before: Kept | undefined,
): Promise<Kept> {
  const keyId = ((before?.keys.config.keyId ?? 0) + 1) % 256;
  const keys = await createChannelKeys({ kem, keyId, primitives });
  const madeAt = now().getTime();
  const stored = new Writer().u64le(BigInt(madeAt)).bytes(exportChannelKeys(keys)).finish();
  await secrets.put(SECRET, stored);
  return { keys, madeAt };
}
