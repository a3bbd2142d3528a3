import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { decodeHex, encodeHex, MalformedError } from '@cloister/bytes';
import * as fc from 'fast-check';
import { shared, sharedMissing } from '../../../tests/shared.ts';
import { aesKeyUnwrap, aesKeyUnwrapPadded, aesKeyWrap, aesKeyWrapPadded } from './aes-key-wrap.ts';

interface Wycheproof {
  tcId: number;
  comment: string;
  key: string;
  msg: string;
  ct: string;
  result: 'valid' | 'acceptable' | 'invalid';
}
interface Vectors {
  vectors: {
    alg: string;
    kek: string;
    key: string;
    wrapped: string;
    result: string;
    origin: string;
  }[];
  wycheproofAesWrap: Wycheproof[];
  wycheproofAesKwp: Wycheproof[];
}

describe('AES key wrap: vectors', { skip: sharedMissing }, () => {
  const vectors = sharedMissing
    ? { vectors: [], wycheproofAesWrap: [], wycheproofAesKwp: [] }
    : (JSON.parse(readFileSync(shared('vectors/protocol/aes-key-wrap.json'), 'utf8')) as Vectors);

  for (const [index, { alg, kek, key, wrapped, result, origin }] of vectors.vectors.entries()) {
    it(`${alg} ${index} ${origin}: ${result}`, async () => {
      const [wrap, unwrap] =
        alg === 'RFC3394' ? [aesKeyWrap, aesKeyUnwrap] : [aesKeyWrapPadded, aesKeyUnwrapPadded];
      if (result === 'valid') {
        assert.equal(encodeHex(await wrap(decodeHex(kek), decodeHex(key))), wrapped);
        assert.equal(encodeHex(await unwrap(decodeHex(kek), decodeHex(wrapped))), key);
      } else await assert.rejects(unwrap(decodeHex(kek), decodeHex(wrapped)), MalformedError);
    });
  }

  const suites = [
    ['AES-KW', vectors.wycheproofAesWrap, aesKeyWrap, aesKeyUnwrap],
    ['AES-KWP', vectors.wycheproofAesKwp, aesKeyWrapPadded, aesKeyUnwrapPadded],
  ] as const;
  for (const [name, tests, wrap, unwrap] of suites) {
    for (const { tcId, comment, key, msg, ct, result } of tests) {
      it(`${name} wycheproof ${tcId} ${comment}: ${result}`, async () => {
        const unwrapped = unwrap(decodeHex(key), decodeHex(ct));
        if (result === 'valid') {
          assert.equal(encodeHex(await unwrapped), msg);
          assert.equal(encodeHex(await wrap(decodeHex(key), decodeHex(msg))), ct);
        } else await assert.rejects(unwrapped, MalformedError);
      });
    }
  }
});

describe('aesKeyWrapPadded', () => {
  it('agrees with OpenSSL for every length', async () => {
    const kek = Uint8Array.from({ length: 32 }, (_, i) => i);
    for (let length = 1; length <= 40; length++) {
      const key = Uint8Array.from({ length }, (_, i) => 255 - i);
      const cipher = createCipheriv('id-aes256-wrap-pad', kek, decodeHex('a65959a6'));
      const expected = Buffer.concat([cipher.update(key), cipher.final()]);
      const wrapped = await aesKeyWrapPadded(kek, key);
      assert.equal(encodeHex(wrapped), expected.toString('hex'));
      assert.deepEqual(await aesKeyUnwrapPadded(kek, wrapped), key);
    }
  });

  it('refuses every flipped bit and every shorter input', async () => {
    const kek = new Uint8Array(16).fill(7);
    const wrapped = await aesKeyWrapPadded(
      kek,
      Uint8Array.from({ length: 11 }, (_, i) => i),
    );
    for (let bit = 0; bit < 8 * wrapped.length; bit++) {
      const flipped = wrapped.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await assert.rejects(aesKeyUnwrapPadded(kek, flipped), MalformedError);
    }
    for (let length = 0; length < wrapped.length; length++) {
      await assert.rejects(aesKeyUnwrapPadded(kek, wrapped.slice(0, length)), MalformedError);
    }
  });

  it('refuses an empty key', async () => {
    await assert.rejects(aesKeyWrapPadded(new Uint8Array(16), new Uint8Array(0)), RangeError);
  });
});

describe('aesKeyWrap', () => {
  it('refuses lengths that RFC 3394 does not know', async () => {
    for (const length of [0, 8, 15, 17]) {
      await assert.rejects(aesKeyWrap(new Uint8Array(16), new Uint8Array(length)), RangeError);
    }
  });

  it('refuses random bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
        await assert.rejects(aesKeyUnwrap(new Uint8Array(16), bytes), MalformedError);
      }),
      { numRuns: 50 },
    );
  });
});
