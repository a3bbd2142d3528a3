import { type Bytes, concatBytes, Reader } from '@cloister/bytes';
import {
  type AeadName,
  createHpke,
  type Hpke,
  type HpkePrimitives,
  type KemName,
  type KemPrivateKey,
  WEB_PRIMITIVES,
} from '@cloister/crypto';
import { createKeyConfig, encodeKeyConfigList, type KeyConfig } from './key-config.ts';

const EXPORT_VERSION = 1;
const EXPORT_KEMS: readonly KemName[] = ['x-wing', 'x25519', 'p-256'];

/** A channel key of a gateway with its key configuration. Holds the private key. */
export interface ChannelKeys {
  readonly config: KeyConfig;
  readonly privateKey: KemPrivateKey;
  readonly suites: ReadonlyMap<AeadName, Hpke>;
}

/** Makes a channel key. Whoever replaces a key gives the new one another key id. */
export async function createChannelKeys(options: {
  readonly kem: KemName;
  readonly keyId: number;
  readonly primitives?: HpkePrimitives | undefined;
}): Promise<ChannelKeys> {
  const suites = createSuites(options.kem, options.primitives);
  return assemble(options.keyId, await hpkeOf(suites).generateKeyPair(), suites);
}

/**
 * The channel key of some keying material (DeriveKeyPair, RFC 9180 section 4): the same one wherever
 * it is derived. The material is used for nothing else.
 */
export async function deriveChannelKeys(options: {
  readonly kem: KemName;
  readonly keyId: number;
  readonly material: Bytes;
  readonly primitives?: HpkePrimitives | undefined;
}): Promise<ChannelKeys> {
  const suites = createSuites(options.kem, options.primitives);
  return assemble(options.keyId, await hpkeOf(suites).deriveKeyPair(options.material), suites);
}

/** The key as bytes, to be sealed: whoever has them reads everything that was sent to the key. */
export function exportChannelKeys({ config, privateKey }: ChannelKeys): Bytes {
  return concatBytes(
    Uint8Array.of(EXPORT_VERSION, config.keyId, EXPORT_KEMS.indexOf(config.kem)),
    privateKey.serialize(),
  );
}

/** The key that `exportChannelKeys` wrote. */
export async function importChannelKeys(
  bytes: Uint8Array,
  options: { readonly primitives?: HpkePrimitives | undefined } = {},
): Promise<ChannelKeys> {
  const reader = new Reader(bytes, 'channel key');
  if (reader.u8() !== EXPORT_VERSION) reader.fail('bad_value');
  const keyId = reader.u8();
  const kem = EXPORT_KEMS[reader.u8()] ?? reader.fail('bad_value');
  const secret = reader.bytes(32);
  reader.end();
  const suites = createSuites(kem, options.primitives);
  return assemble(keyId, await hpkeOf(suites).deserializePrivateKey(secret), suites);
}

/** `application/ohttp-keys` of these keys: the `ohttp` of runtime data (design 2.2, RFC 9540). */
export function encodeKeyConfigs(keys: ChannelKeys | readonly ChannelKeys[]): Bytes {
  const list = 'config' in keys ? [keys] : keys;
  return encodeKeyConfigList(list.map(({ config }) => config));
}

function assemble(
  keyId: number,
  privateKey: KemPrivateKey,
  suites: ReadonlyMap<AeadName, Hpke>,
): ChannelKeys {
  const config = createKeyConfig(keyId, privateKey.kem, privateKey.publicKey);
  return { config, privateKey, suites };
}

/** HPKE for each AEAD of a key configuration. */
export function createSuites(
  kem: KemName,
  primitives: HpkePrimitives = WEB_PRIMITIVES,
): ReadonlyMap<AeadName, Hpke> {
  const suite = (aead: AeadName): [AeadName, Hpke] => [
    aead,
    createHpke({ kem, kdf: 'hkdf-sha256', aead, primitives }),
  ];
  return new Map([suite('aes-256-gcm'), suite('aes-128-gcm')]);
}

function hpkeOf(suites: ReadonlyMap<AeadName, Hpke>): Hpke {
  const [hpke] = suites.values();
  if (hpke === undefined) throw new TypeError('a key without suites');
  return hpke;
}
