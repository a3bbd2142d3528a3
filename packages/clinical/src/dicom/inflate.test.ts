import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';
import * as fc from 'fast-check';
import { inflate } from './inflate.ts';

const { Z_FIXED, Z_DEFAULT_STRATEGY, Z_HUFFMAN_ONLY, Z_RLE } = constants;

describe('inflate', () => {
  it('gives back what zlib compressed, at every level and strategy', () => {
    const strategies = [Z_FIXED, Z_DEFAULT_STRATEGY, Z_HUFFMAN_ONLY, Z_RLE];
    const data = fc.oneof(
      fc.uint8Array({ maxLength: 5000 }),
      fc.array(fc.constantFrom(65, 66, 67), { maxLength: 70_000 }).map((a) => Uint8Array.from(a)),
    );
    fc.assert(
      fc.property(data, fc.nat(9), fc.constantFrom(...strategies), (bytes, level, strategy) => {
        const packed = deflateRawSync(bytes, { level, strategy });
        assert.deepEqual(inflate(packed, bytes.length), new Uint8Array(bytes));
      }),
      { numRuns: 150 },
    );
  });

  it('refuses output beyond the limit', () => {
    const bomb = deflateRawSync(new Uint8Array(50_000_000), { level: 9 });
    assert.ok(bomb.length < 60_000);
    assert.throws(() => inflate(bomb, 1_000_000), { code: 'too_large' });
  });

  it('refuses every shorter prefix', () => {
    const packed = deflateRawSync(Buffer.from('radiograph '.repeat(50)));
    for (let n = 0; n < packed.length; n++) {
      assert.throws(() => inflate(packed.subarray(0, n), 10_000), { name: 'MalformedError' });
    }
  });

  it('ends on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        try {
          inflate(bytes, 100_000);
        } catch (error) {
          assert.ok(error instanceof Error && error.name === 'MalformedError');
        }
      }),
      { numRuns: 1000 },
    );
  });
});
