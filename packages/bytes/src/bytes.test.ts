import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asBytes, concatBytes, copyBytes, equalBytes, isZero } from './bytes.ts';

describe('concatBytes', () => {
  it('joins parts in a new array', () => {
    const part = Uint8Array.of(1, 2);
    const joined = concatBytes(part, new Uint8Array(0), Uint8Array.of(3));
    part.fill(9);
    assert.deepEqual(joined, Uint8Array.of(1, 2, 3));
    assert.equal(concatBytes().length, 0);
  });
});

describe('copyBytes and asBytes', () => {
  it('one copies, the other does not where it need not', () => {
    const backing = Uint8Array.of(0, 1, 2, 3);
    const view = backing.subarray(1, 3);
    const copy = copyBytes(view);
    backing.fill(9);
    assert.deepEqual(copy, Uint8Array.of(1, 2));
    assert.equal(asBytes(view), view);
  });

  it('asBytes copies out of shared memory', () => {
    const sharedBytes = new Uint8Array(new SharedArrayBuffer(4)).fill(7);
    const own = asBytes(sharedBytes);
    sharedBytes.fill(0);
    assert.ok(own.buffer instanceof ArrayBuffer);
    assert.deepEqual(own, Uint8Array.of(7, 7, 7, 7));
  });

  it('copyBytes gives a plain array of a Buffer, without its pool', () => {
    const copy = copyBytes(Buffer.from('ab'));
    assert.equal(copy.constructor, Uint8Array);
    assert.equal(copy.buffer.byteLength, 2);
  });
});

describe('equalBytes', () => {
  it('sees every bit and the length', () => {
    const a = Uint8Array.from({ length: 8 }, (_, i) => i);
    assert.ok(equalBytes(a, a.slice()));
    assert.ok(equalBytes(new Uint8Array(0), new Uint8Array(0)));
    assert.equal(equalBytes(a, a.subarray(1)), false);
    assert.equal(equalBytes(a, Uint8Array.of(...a, 0)), false);
    for (let bit = 0; bit < 64; bit++) {
      const b = a.slice();
      b[bit >> 3] = (b[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(equalBytes(a, b), false);
    }
  });
});

describe('isZero', () => {
  it('tells zeros from others', () => {
    assert.ok(isZero(new Uint8Array(0)));
    assert.ok(isZero(new Uint8Array(5)));
    assert.equal(isZero(Uint8Array.of(0, 0, 1)), false);
  });
});
