import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { decodeHex, encodeHex } from './hex.ts';
import { MalformedError } from './malformed-error.ts';

describe('hex', () => {
  it('is what Node writes, and is read back in either case', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = encodeHex(bytes);
        assert.equal(text, Buffer.from(bytes).toString('hex'));
        assert.deepEqual(decodeHex(text), new Uint8Array(bytes));
        assert.deepEqual(decodeHex(text.toUpperCase()), new Uint8Array(bytes));
      }),
    );
  });

  it('writes byte strings of every length, each text for itself', () => {
    const long = Uint8Array.from({ length: 3000 }, (_, i) => (i * 7) & 0xff);
    const text = Buffer.from(long).toString('hex');
    const texts = [0, 1, 2, 31, 32, 1023, 1024, 1025, 2048, 3000].map(
      (length) => [length, encodeHex(long.subarray(0, length))] as const,
    );
    for (const [length, hex] of texts) assert.equal(hex, text.slice(0, 2 * length));
  });

  it('refuses an odd length and everything that is no digit', () => {
    assert.throws(() => decodeHex('abc'), MalformedError);
    for (let code = 0; code < 0x300; code++) {
      const text = String.fromCharCode(code);
      if (/[\da-fA-F]/.test(text)) assert.equal(decodeHex(`${text}0`).length, 1);
      else assert.throws(() => decodeHex(`0${text}`), MalformedError, `${code}`);
    }
    assert.throws(() => decodeHex('0x00'), MalformedError);
  });
});
