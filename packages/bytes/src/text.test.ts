import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { MalformedError } from './malformed-error.ts';
import { decodeUtf8, encodeUtf8 } from './text.ts';

describe('UTF-8', () => {
  it('is read back as it was written', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        assert.equal(decodeUtf8(encodeUtf8(text)), text);
      }),
    );
  });

  it('keeps a byte order mark', () => {
    assert.equal(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x41)), '\ufeffA');
  });

  it('refuses overlong forms, surrogates, stray and missing bytes', () => {
    const bad = [
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0x80],
      [0xe2, 0x82],
      [0xf4, 0x90, 0x80, 0x80],
      [0xff],
    ];
    for (const bytes of bad)
      assert.throws(() => decodeUtf8(Uint8Array.from(bytes)), MalformedError);
  });
});
