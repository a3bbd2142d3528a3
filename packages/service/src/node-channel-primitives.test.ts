import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeUtf8 } from '@cloister/bytes';
import { createHpke, WEB_PRIMITIVES } from '@cloister/crypto';
import { nodeChannelPrimitives } from './node-channel-primitives.ts';

describe('nodeChannelPrimitives', () => {
  it('opens what WebCrypto sealed, and the other way round', async () => {
    const suite = { kem: 'x-wing', kdf: 'hkdf-sha256', aead: 'aes-256-gcm' } as const;
    const node = createHpke({ ...suite, primitives: nodeChannelPrimitives() });
    const web = createHpke({ ...suite, primitives: WEB_PRIMITIVES });
    for (const [from, to] of [
      [node, web],
      [web, node],
    ] as const) {
      const key = await to.generateKeyPair();
      const publicKey = await from.deserializePublicKey(key.publicKey);
      const info = encodeUtf8('test');
      const { enc, context } = await from.setupSender(publicKey, info);
      const sealed = await context.seal(encodeUtf8('hello'));
      const opened = await (await to.setupRecipient(key, enc, info)).open(sealed);
      assert.deepEqual(opened, encodeUtf8('hello'));
    }
  });
});
