// The published examples of OHTTP, whole and in chunks: same form, same suite, same keys to begin with.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type Bytes, decodeHex } from '@cloister/bytes';
import { createHpke, WEB_PRIMITIVES } from '@cloister/crypto';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { type ChannelKeys, createSuites } from './channel-keys.ts';
import { parseKeyConfig } from './key-config.ts';
import type { RecipientKey } from './request-encryption.ts';

interface Example {
  readonly vector: Readonly<Record<string, string>>;
  readonly hex: (name: string) => Bytes;
  readonly gatewayKeys: () => Promise<ChannelKeys>;
  /** The gateway's key as a client has it, whose ephemeral key is that of the example. */
  readonly recipient: () => Promise<RecipientKey>;
}

/** An example of `shared/vectors/protocol`; empty where that is missing, and the tests are skipped. */
export function example(name: string): Example {
  const text = sharedMissing ? '{}' : readFileSync(shared(`vectors/protocol/${name}.json`), 'utf8');
  const vector = JSON.parse(text) as Record<string, string>;
  const hex = (field: string) => decodeHex(vector[field] ?? assert.fail(field));
  const primitives = {
    ...WEB_PRIMITIVES,
    x25519: {
      ...WEB_PRIMITIVES.x25519,
      generate: () => WEB_PRIMITIVES.x25519.import(hex('clientEphemeralSecretKey')),
    },
  };
  const hpke = createHpke({ kem: 'x25519', kdf: 'hkdf-sha256', aead: 'aes-128-gcm', primitives });
  const gatewayKeys = async () => {
    const config = parseKeyConfig(hex('keyConfig')) ?? assert.fail();
    const privateKey = await hpke.deserializePrivateKey(hex('gatewaySecretKey'));
    return { config, privateKey, suites: createSuites('x25519') };
  };
  const recipient = async () => {
    const { config } = await gatewayKeys();
    const publicKey = await hpke.deserializePublicKey(config.publicKey);
    return { keyId: 1, hpke, publicKey, config: config.bytes };
  };
  return { vector, hex, gatewayKeys, recipient };
}
