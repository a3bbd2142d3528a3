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
