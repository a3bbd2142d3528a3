import { type Bytes, concatBytes, MalformedError, Reader } from '@cloister/bytes';
import { AEAD_IDS, type AeadName, HKDF_SHA256_ID, KEM_IDS, type KemName } from '@cloister/crypto';

const KEM_NAMES: readonly KemName[] = ['x-wing', 'x25519', 'p-256'];
const PUBLIC_KEY_SIZES: Readonly<Record<KemName, number>> = {
  'x-wing': 1216,
  x25519: 32,
  'p-256': 65,
};
/** The AEADs that both halves have, the preferred one first. */
const AEAD_NAMES: readonly AeadName[] = ['aes-256-gcm', 'aes-128-gcm'];

/** One key configuration (RFC 9458 section 3.1) of a KEM that Cloister knows. */
export interface KeyConfig {
  readonly keyId: number;
  readonly kem: KemName;
  readonly publicKey: Bytes;
  /** The AEADs offered with HKDF-SHA256, in the order of preference of Cloister. */
  readonly aeads: readonly AeadName[];
  /** The configuration itself, without the length that a list puts before it. */
  readonly bytes: Bytes;
}

/** A key configuration for HKDF-SHA256 with AES-256-GCM and AES-128-GCM. */
export function createKeyConfig(keyId: number, kem: KemName, publicKey: Bytes): KeyConfig {
  if (!Number.isInteger(keyId) || keyId < 0 || keyId > 255) throw new RangeError('key id');
  const bytes = concatBytes(
    Uint8Array.of(keyId),
    uint16(KEM_IDS[kem]),
    publicKey,
    uint16(4 * AEAD_NAMES.length),
    ...AEAD_NAMES.flatMap((aead) => [uint16(HKDF_SHA256_ID), uint16(AEAD_IDS[aead])]),
  );
  return { keyId, kem, publicKey, aeads: AEAD_NAMES, bytes };
}

/** One key configuration (RFC 9458 section 3.1); undefined where its KEM is unknown. */
export function parseKeyConfig(bytes: Bytes): KeyConfig | undefined {
  const reader = new Reader(bytes, 'key configuration');
  const keyId = reader.u8();
  const kemId = reader.u16be();
  const kem = KEM_NAMES.find((name) => KEM_IDS[name] === kemId);
  if (kem === undefined) return undefined;
  const publicKey = reader.bytes(PUBLIC_KEY_SIZES[kem]);
  const algorithms = new Reader(reader.bytes(reader.u16be()), 'symmetric algorithms');
  reader.end();
  if (algorithms.remaining === 0) algorithms.fail('truncated');
  const offered = new Set<number>();
  while (algorithms.remaining > 0) {
    const kdf = algorithms.u16be();
    const aead = algorithms.u16be();
    if (kdf === HKDF_SHA256_ID) offered.add(aead);
  }
  const aeads = AEAD_NAMES.filter((name) => offered.has(AEAD_IDS[name]));
  return { keyId, kem, publicKey, aeads, bytes };
}

/** `application/ohttp-keys` (RFC 9458 section 3.2): each configuration with its length before it. */
export function encodeKeyConfigList(configs: readonly KeyConfig[]): Bytes {
  return concatBytes(...configs.flatMap(({ bytes }) => [uint16(bytes.length), bytes]));
}

/** Reads `application/ohttp-keys` (RFC 9458 section 3.2); unknown KEMs are left out. */
export function parseKeyConfigs(list: Uint8Array): KeyConfig[] {
  const reader = new Reader(list, 'ohttp-keys');
  const configs: KeyConfig[] = [];
  const ids = new Set<number>();
  while (reader.remaining > 0) {
    const config = parseKeyConfig(reader.bytes(reader.u16be()));
    if (config === undefined) continue;
    // Two keys under one id: which of them the gateway would take is anybody's guess.
    if (ids.has(config.keyId)) throw new MalformedError('bad_value', 'ohttp-keys: key id twice');
    ids.add(config.keyId);
    configs.push(config);
  }
  return configs;
}

function uint16(value: number): Bytes {
  return Uint8Array.of(value >> 8, value & 0xff);
}
