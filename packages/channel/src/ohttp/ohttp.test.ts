import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { concatBytes, decodeHex, encodeHex, encodeUtf8, MalformedError } from '@cloister/bytes';
import { createHpke, type KemName } from '@cloister/crypto';
import * as fc from 'fast-check';
import { sharedMissing } from '../../../../tests/shared.ts';
import {
  createChannelKeys,
  encodeKeyConfigs,
  exportChannelKeys,
  importChannelKeys,
} from './channel-keys.ts';
import { createKeyConfig, parseKeyConfig, parseKeyConfigs } from './key-config.ts';
import { openRequest, sealRequest, setupRequest } from './request-encryption.ts';
import { openResponse, sealResponse } from './response-encryption.ts';
import { example } from './vector-setup.test.ts';

const KEMS: readonly KemName[] = ['x-wing', 'x25519', 'p-256'];

describe('RFC 9458 appendix A', { skip: sharedMissing }, () => {
  const { vector, hex, gatewayKeys, recipient } = example('ohttp-rfc9458');

  it('reads the key configuration', async () => {
    const { config, privateKey } = await gatewayKeys();
    assert.equal(config.keyId, 1);
    assert.equal(config.kem, 'x25519');
    assert.deepEqual(config.publicKey, privateKey.publicKey);
    // The vector offers AES-128-GCM and ChaCha20Poly1305.
    assert.deepEqual(config.aeads, ['aes-128-gcm']);
  });

  it('makes and opens the encapsulated request', async () => {
    const keys = await gatewayKeys();
    const sender = await setupRequest(await recipient(), 'whole');
    const encapsulated = concatBytes(...(await sealRequest(sender, [hex('binaryRequest')])));
    assert.equal(encodeHex(encapsulated), vector['encapsulatedRequest']);
    const opened = (await openRequest([encapsulated], [keys])) ?? assert.fail();
    assert.equal(encodeHex(concatBytes(...opened.binaryRequest)), vector['binaryRequest']);
  });

  it('makes and opens the encapsulated response', async () => {
    const keys = await gatewayKeys();
    const opened = (await openRequest([hex('encapsulatedRequest')], [keys])) ?? assert.fail();
    const nonce = hex('responseNonce');
    const sealed = concatBytes(...(await sealResponse(opened, nonce, [hex('binaryResponse')])));
    assert.equal(encodeHex(sealed), vector['encapsulatedResponse']);
    const plaintext = await openResponse(opened, [sealed]);
    assert.equal(encodeHex(concatBytes(...plaintext)), vector['binaryResponse']);
  });
});

describe('key configurations', () => {
  it('come back from application/ohttp-keys, and from an exported key', async () => {
    const keys = await Promise.all(KEMS.map((kem, keyId) => createChannelKeys({ kem, keyId })));
    const configs = parseKeyConfigs(encodeKeyConfigs(keys));
    assert.deepEqual(
      configs,
      keys.map(({ config }) => config),
    );
    for (const key of keys) {
      // oxlint-disable-next-line no-await-in-loop -- three keys
      const again = await importChannelKeys(exportChannelKeys(key));
      assert.deepEqual(again.config, key.config);
    }
    assert.deepEqual(
      encodeKeyConfigs(keys[0] ?? assert.fail()),
      encodeKeyConfigs(keys.slice(0, 1)),
    );
  });

  it('leave out unknown KEMs, and refuse a key id that comes twice', async () => {
    const { config } = await createChannelKeys({ kem: 'x25519', keyId: 7 });
    const length = Uint8Array.of(0, config.bytes.length);
    const unknown = decodeHex('000507ffff0000');
    assert.deepEqual(parseKeyConfigs(concatBytes(unknown, length, config.bytes)), [config]);
    const twice = concatBytes(length, config.bytes, length, config.bytes);
    assert.throws(() => parseKeyConfigs(twice), MalformedError);
  });

  it('are refused at every shorter prefix, with trailing bytes and without algorithms', async () => {
    const { config } = await createChannelKeys({ kem: 'p-256', keyId: 7 });
    for (let n = 1; n < config.bytes.length; n++) {
      if (n < 3) continue;
      assert.throws(() => parseKeyConfig(config.bytes.slice(0, n)), MalformedError);
    }
    assert.throws(
      () => parseKeyConfig(concatBytes(config.bytes, Uint8Array.of(0))),
      MalformedError,
    );
    const bare = concatBytes(config.bytes.slice(0, 68), decodeHex('0000'));
    assert.throws(() => parseKeyConfig(bare), MalformedError);
  });

  it('throw nothing but MalformedError for random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          parseKeyConfigs(bytes);
        } catch (error) {
          assert.ok(error instanceof MalformedError);
        }
      }),
    );
  });

  it('refuse exported keys that are cut, lengthened or of an unknown sort', async () => {
    const bytes = exportChannelKeys(await createChannelKeys({ kem: 'x-wing', keyId: 1 }));
    for (const bad of [
      bytes.slice(0, -1),
      concatBytes(bytes, Uint8Array.of(0)),
      concatBytes(Uint8Array.of(2), bytes.slice(1)),
      concatBytes(bytes.slice(0, 2), Uint8Array.of(9), bytes.slice(3)),
      new Uint8Array(),
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- five cases
      await assert.rejects(importChannelKeys(bad), MalformedError);
    }
    assert.throws(() => createKeyConfig(256, 'x25519', new Uint8Array(32)), RangeError);
  });
});

for (const kem of KEMS) {
  describe(`openRequest, ${kem}`, async () => {
    const keys = await createChannelKeys({ kem, keyId: 3 });
    const hpke = createHpke({ kem, kdf: 'hkdf-sha256', aead: 'aes-256-gcm' });
    const publicKey = await hpke.deserializePublicKey(keys.config.publicKey);
    const recipient = { keyId: 3, hpke, publicKey, config: keys.config.bytes };
    const sender = await setupRequest(recipient, 'whole');
    const good = concatBytes(...(await sealRequest(sender, [encodeUtf8('request')])));

    it('opens what was sealed', async () => {
      const opened = (await openRequest([good], [keys])) ?? assert.fail();
      assert.deepEqual(concatBytes(...opened.binaryRequest), encodeUtf8('request'));
      assert.deepEqual(opened.enc, sender.enc);
    });

    it('gives undefined for every shorter prefix', async () => {
      for (let n = 0; n < good.length; n++) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other keeps the machine usable
        assert.equal(await openRequest([good.slice(0, n)], [keys]), undefined, `prefix ${n}`);
      }
    });

    it('gives undefined for a flipped bit in every byte', async () => {
      for (let n = 0; n < good.length; n++) {
        const bytes = good.slice();
        bytes[n] = (bytes[n] ?? 0) ^ (1 << (n & 7));
        // oxlint-disable-next-line no-await-in-loop -- as above
        assert.equal(await openRequest([bytes], [keys]), undefined, `byte ${n}`);
      }
    });

    it('gives undefined for another key under the same id', async () => {
      const other = await createChannelKeys({ kem, keyId: 3 });
      assert.equal(await openRequest([good], [other]), undefined);
      assert.equal(await openRequest([good], []), undefined);
    });
  });
}
