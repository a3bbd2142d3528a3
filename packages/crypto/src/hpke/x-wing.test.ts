import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as nodeCrypto from 'node:crypto';
import { describe, it } from 'node:test';
import { type Bytes, decodeHex, encodeHex } from '@cloister/bytes';
import { shared, sharedMissing } from '../../../../tests/shared.ts';
import { createNodePrimitives } from './node-primitives.ts';
import type { HpkePrimitives } from './primitives.ts';
import { WEB_PRIMITIVES } from './web-primitives.ts';
import { createXWing } from './x-wing.ts';

interface Vectors {
  readonly vectors: readonly { seed: string; eseed: string; ss: string; pk: string; ct: string }[];
  readonly decapsulationOfModifiedCiphertext: readonly {
    vector: number;
    what: string;
    byteOffset: number;
    xor: number;
    ss: string;
  }[];
  readonly invalidLengths: readonly {
    vector: number;
    what: string;
    ctBytes?: number;
    pkBytes?: number;
  }[];
  readonly invalidPublicKeys: readonly { vector: number; what: string; pkFirstBytes: string }[];
}

const EMPTY: Vectors = {
  vectors: [],
  decapsulationOfModifiedCiphertext: [],
  invalidLengths: [],
  invalidPublicKeys: [],
};
const NODE_PRIMITIVES = createNodePrimitives<nodeCrypto.KeyObject, Buffer>(nodeCrypto, (bytes) =>
  Buffer.from(bytes),
);
const PROVIDERS: readonly (readonly [string, HpkePrimitives])[] = [
  ['WebCrypto', WEB_PRIMITIVES],
  ['node:crypto', NODE_PRIMITIVES],
];

function resize(hex: string, length: number): Bytes {
  const out = new Uint8Array(length);
  out.set(decodeHex(hex).subarray(0, length));
  return out;
}

for (const [provider, primitives] of PROVIDERS) {
  describe(`X-Wing on ${provider}`, { skip: sharedMissing }, () => {
    const kem = createXWing(primitives);
    const file = shared('vectors/protocol/xwing-kem.json');
    const data = sharedMissing ? EMPTY : (JSON.parse(readFileSync(file, 'utf8')) as Vectors);
    const { vectors, decapsulationOfModifiedCiphertext, invalidLengths, invalidPublicKeys } = data;
    const vectorOf = (index: number) => vectors[index] ?? assert.fail('no such vector');

    it('has vectors', () => assert.ok(vectors.length > 0));

    for (const [i, vector] of vectors.entries()) {
      it(`vector ${i}: key generation and decapsulation`, async () => {
        const key = await kem.deserializePrivateKey(decodeHex(vector.seed));
        assert.equal(encodeHex(key.publicKey), vector.pk);
        assert.equal(encodeHex(key.serialize()), vector.seed);
        assert.equal(encodeHex(await key.decapsulate(decodeHex(vector.ct))), vector.ss);
      });

      it(`vector ${i}: encapsulation around the vector's two halves`, async () => {
        // WebCrypto has no derandomised ML-KEM: its half of the ciphertext is taken from the vector, its
        // secret from decapsulation. The X25519 half and the combiner are worked out.
        const expandedKey = await kem.deserializePrivateKey(decodeHex(vector.seed));
        const ciphertext = decodeHex(vector.ct).slice(0, 1088);
        let lattice = new Uint8Array(0);
        const spy: HpkePrimitives = {
          ...primitives,
          mlKem768: {
            ...primitives.mlKem768,
            async import(seed) {
              const key = await primitives.mlKem768.import(seed);
              lattice = await key.decapsulate(ciphertext);
              return key;
            },
            importPublic: () => ({ encapsulate: () => ({ ciphertext, sharedSecret: lattice }) }),
          },
          x25519: {
            ...primitives.x25519,
            generate: () => primitives.x25519.import(decodeHex(vector.eseed).slice(32)),
          },
        };
        const fixed = createXWing(spy);
        await fixed.deserializePrivateKey(decodeHex(vector.seed));
        const publicKey = await fixed.deserializePublicKey(expandedKey.publicKey);
        const { enc, sharedSecret } = await publicKey.encapsulate();
        assert.equal(encodeHex(enc), vector.ct);
        assert.equal(encodeHex(sharedSecret), vector.ss);
      });
    }

    for (const { vector, what, byteOffset, xor, ss } of decapsulationOfModifiedCiphertext) {
      it(`modified ciphertext gives another secret: ${what}`, async () => {
        const key = await kem.deserializePrivateKey(decodeHex(vectorOf(vector).seed));
        const enc = decodeHex(vectorOf(vector).ct);
        enc[byteOffset] = (enc[byteOffset] ?? 0) ^ xor;
        assert.equal(encodeHex(await key.decapsulate(enc)), ss);
      });
    }

    for (const { vector, what, ctBytes, pkBytes } of invalidLengths) {
      it(`refuses a ${what}`, async () => {
        if (ctBytes !== undefined) {
          const key = await kem.deserializePrivateKey(decodeHex(vectorOf(vector).seed));
          const enc = resize(vectorOf(vector).ct, ctBytes);
          await assert.rejects(key.decapsulate(enc), { code: 'bad_encapsulation' });
          return;
        }
        const publicKey = resize(vectorOf(vector).pk, pkBytes ?? assert.fail());
        await assert.rejects(async () => kem.deserializePublicKey(publicKey), {
          code: 'bad_public_key',
        });
      });
    }

    for (const { vector, what, pkFirstBytes } of invalidPublicKeys) {
      it(`refuses a public key: ${what}`, async () => {
        const bytes = decodeHex(vectorOf(vector).pk);
        bytes.set(decodeHex(pkFirstBytes));
        await assert.rejects(async () => (await kem.deserializePublicKey(bytes)).encapsulate(), {
          code: 'bad_public_key',
        });
      });
    }

    it('refuses an encapsulation whose X25519 half has an all-zero result', async () => {
      const key = await kem.generateKeyPair();
      const { enc } = await (await kem.deserializePublicKey(key.publicKey)).encapsulate();
      enc.fill(0, 1088);
      await assert.rejects(key.decapsulate(enc), { code: 'bad_encapsulation' });
    });
  });
}
