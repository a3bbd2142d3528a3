import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Bytes, concatBytes } from '@cloister/bytes';
import * as fc from 'fast-check';
import { PieceReader } from './piece-reader.ts';

describe('PieceReader', () => {
  it('reads pieces as if they were one, however they are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 9 }),
        fc.array(fc.nat(12), { maxLength: 20 }),
        (cut, lengths) => {
          const pieces = cut.map((piece): Bytes => new Uint8Array(piece));
          const whole = concatBytes(...pieces);
          const reader = new PieceReader(pieces);
          let at = 0;
          for (const length of lengths) {
            const taken = reader.take(length);
            if (length > whole.length - at) {
              assert.equal(taken, undefined);
              continue;
            }
            assert.deepEqual(taken, whole.subarray(at, at + length));
            at += length;
            assert.equal(reader.remaining, whole.length - at);
          }
          assert.deepEqual(concatBytes(...reader.rest()), whole.subarray(at));
        },
      ),
    );
  });

  it('copies only what stands in more than one piece, or is to outlive them', () => {
    const pieces = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6)];
    const reader = new PieceReader(pieces);
    assert.equal(reader.take(2)?.buffer, pieces[0]?.buffer);
    const over = reader.take(2);
    assert.deepEqual(over, Uint8Array.of(3, 4));
    assert.equal(reader.take(1)?.buffer, pieces[1]?.buffer);
    const copied = reader.copy(1);
    assert.deepEqual(copied, Uint8Array.of(6));
    assert.notEqual(copied?.buffer, pieces[1]?.buffer);
    assert.equal(reader.copy(1), undefined);
  });

  it('copies of a Buffer are copies: its slice is a view', () => {
    const buffer = Buffer.from([1, 2, 3]);
    const copied = new PieceReader([buffer]).copy(2);
    buffer.fill(0);
    assert.deepEqual(copied, Uint8Array.of(1, 2));
  });
});
