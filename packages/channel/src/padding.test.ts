import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { paddedLength } from './padding.ts';

describe('paddedLength', () => {
  it('goes up in steps of 4 KiB to 64 KiB', () => {
    const cases = [
      [0, 4096],
      [1, 4096],
      [4096, 4096],
      [4097, 8192],
      [65_535, 65_536],
      [65_536, 65_536],
    ] as const;
    for (const [length, padded] of cases) assert.equal(paddedLength(length), padded);
  });

  it('follows Padmé above', () => {
    // exponent 16, kept bits 5: steps of 2 KiB; exponent 20, 5: 32 KiB; exponent 22, 5: 128 KiB.
    assert.equal(paddedLength(65_537), 65_536 + 2048);
    assert.equal(paddedLength(1_048_577), 1_048_576 + 32_768);
    assert.equal(paddedLength(4_194_305), 4_194_304 + 131_072);
  });

  it('never shortens, never adds more than 12 % above 64 KiB, never goes down', () => {
    let before = 0;
    for (let length = 1; length < 8_000_000; length += 997) {
      const padded = paddedLength(length);
      assert.ok(padded >= length && padded >= before);
      if (length > 65_536) assert.ok(padded <= length * 1.12);
      assert.equal(paddedLength(padded), padded);
      before = padded;
    }
  });
});
