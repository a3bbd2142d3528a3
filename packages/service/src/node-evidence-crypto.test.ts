import assert from 'node:assert/strict';
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { describe, it } from 'node:test';
import { WEB_CRYPTO, WEB_SNP_CRYPTO, type P256Key } from '@cloister/attestation';
import { decodeHex, type Bytes } from '@cloister/bytes';
import { NODE_EVIDENCE_CRYPTO } from './node-evidence-crypto.ts';

type Import = (point: Bytes) => P256Key | undefined | Promise<P256Key | undefined>;

const CURVES = [
  {
    curve: 'P-256',
    digest: 'sha256',
    size: 32,
    order: 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
    node: (point: Bytes) => NODE_EVIDENCE_CRYPTO.importP256(point),
    web: (point: Bytes) => WEB_CRYPTO.importP256(point),
  },
  {
    curve: 'P-384',
    digest: 'sha384',
    size: 48,
    order: `${'f'.repeat(48)}c7634d81f4372ddf581a0db248b0a77aecec196accc52973`,
    node: (point: Bytes) => NODE_EVIDENCE_CRYPTO.importP384(point),
    web: (point: Bytes) => WEB_SNP_CRYPTO.importP384(point),
  },
] as const;
const data = new Uint8Array(100).fill(7);

const pointOf = (key: KeyObject, size: number): Bytes =>
  new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(-2 * size));

const put = (r: Uint8Array, s: Uint8Array): Bytes => new Uint8Array([...r, ...s]);

async function importKey(by: Import, point: Bytes): Promise<P256Key> {
  const key = await by(point);
  assert.ok(key);
  return key;
}

describe('NODE_EVIDENCE_CRYPTO', () => {
  for (const { curve, digest, size, order, node, web } of CURVES) {
    describe(curve, () => {
      it('takes every signature that is one, as WebCrypto does', async () => {
        const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve });
        const point = pointOf(publicKey, size);
        const keys = [await importKey(node, point), await importKey(web, point)];
        // Until numbers of every length in DER have occurred: short ones, and with a sign byte.
        let [short, high, count] = [false, false, 0];
        for (; !short || !high || count < 20; count++) {
          const raw = sign(digest, data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
          const isShort = raw[0] === 0 || raw[size] === 0;
          const isHigh = (raw[0] ?? 0) >= 0x80;
          if (count >= 20 && (short || !isShort) && (high || !isHigh)) continue;
          [short, high] = [short || isShort, high || isHigh];
          for (const key of keys) {
            const verified = await key.verify(new Uint8Array(raw), data);
            assert.equal(verified, true, raw.toString('hex'));
          }
        }
      });

      it('refuses whatever WebCrypto refuses', async () => {
        const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve });
        const point = pointOf(publicKey, size);
        const [byNode, byWeb] = [await importKey(node, point), await importKey(web, point)];
        const good = new Uint8Array(
          sign(digest, data, { key: privateKey, dsaEncoding: 'ieee-p1363' }),
        );
        const n = decodeHex(order);
        const [r, s] = [good.subarray(0, size), good.subarray(size)];
        const zero = new Uint8Array(size);
        const ones = new Uint8Array(size).fill(0xff);
        const flipped = good.slice();
        flipped[size + 3] = (flipped[size + 3] ?? 0) ^ 1;
        const bad = [
          flipped,
          put(zero, zero),
          put(zero, s),
          put(r, zero),
          put(n, s),
          put(r, n),
          put(ones, ones),
          put(s, r),
          good.slice(1),
          good.subarray(0, 0),
          new Uint8Array([...good, 0]),
          new Uint8Array([0, ...r, 0, ...s]),
        ];
        for (const signature of bad) {
          const name = Buffer.from(signature).toString('hex');
          assert.equal(await byNode.verify(signature, data), false, name);
          assert.equal(await byWeb.verify(signature, data), false, name);
        }
        assert.equal(await byNode.verify(good, data.subarray(1)), false);
        assert.equal(await byNode.verify(good, data), true);
      });

      it('imports no point that is off the curve', async () => {
        for (const point of [
          new Uint8Array(2 * size),
          new Uint8Array(2 * size).fill(0xff),
          new Uint8Array(2 * size).fill(1),
        ]) {
          assert.equal(await node(point), undefined);
          assert.equal(await web(point), undefined);
        }
      });
    });
  }

  it('verifies RSASSA-PSS with 48 bytes of salt, and nothing else', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
    const key = await NODE_EVIDENCE_CRYPTO.importRsaPss(spki);
    const signed = (digest: string, padding: number, saltLength?: number): Bytes =>
      new Uint8Array(
        sign(digest, data, { key: privateKey, padding, ...(saltLength ? { saltLength } : {}) }),
      );
    assert.equal(await key?.verify(signed('sha384', 6, 48), data), true);
    assert.equal(await key?.verify(signed('sha384', 6, 32), data), false);
    assert.equal(await key?.verify(signed('sha256', 6, 48), data), false);
    assert.equal(await key?.verify(signed('sha384', 1), data), false);
    assert.equal(await key?.verify(new Uint8Array(256), data), false);
    assert.equal(await key?.verify(new Uint8Array(), data), false);
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
    const other = new Uint8Array(ec.export({ format: 'der', type: 'spki' }));
    assert.equal(await NODE_EVIDENCE_CRYPTO.importRsaPss(other), undefined);
    assert.equal(await NODE_EVIDENCE_CRYPTO.importRsaPss(spki.subarray(1)), undefined);
  });

  it('hashes as WebCrypto does', async () => {
    for (const bytes of [new Uint8Array(), data, data.subarray(3, 50)]) {
      assert.equal(await NODE_EVIDENCE_CRYPTO.sha256Hex(bytes), await WEB_CRYPTO.sha256Hex(bytes));
    }
  });
});
