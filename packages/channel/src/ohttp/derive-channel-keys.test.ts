import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deriveChannelKeys, encodeKeyConfigs, exportChannelKeys } from './channel-keys.ts';

const material = (byte: number) => new Uint8Array(32).fill(byte);

describe('deriveChannelKeys', () => {
  for (const kem of ['x-wing', 'x25519', 'p-256'] as const)
    it(`makes the same ${kem} key of the same material, and another one of other material`, async () => {
      const [one, same, other] = await Promise.all(
        [1, 1, 2].map((byte) => deriveChannelKeys({ kem, keyId: 9, material: material(byte) })),
      );
      assert.ok(one && same && other);
      assert.equal(one.config.kem, kem);
      assert.equal(one.config.keyId, 9);
      assert.deepEqual(encodeKeyConfigs(one), encodeKeyConfigs(same));
      assert.deepEqual(exportChannelKeys(one), exportChannelKeys(same));
      assert.notDeepEqual(encodeKeyConfigs(one), encodeKeyConfigs(other));
    });
});
