import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { frameBytes } from './frames.ts';

const EMPTY = new Uint8Array(0);
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('frameBytes', () => {
  it('joins all fragments of a single frame', () => {
    assert.deepEqual([...frameBytes([EMPTY, bytes(1, 2), bytes(3, 4)], 1, 0)], [1, 2, 3, 4]);
  });

  it('takes one fragment for one frame where the numbers agree', () => {
    assert.deepEqual([...frameBytes([EMPTY, bytes(1, 2), bytes(3, 4)], 2, 1)], [3, 4]);
  });

  it('follows the offset table', () => {
    const table = new Uint8Array(8);
    new DataView(table.buffer).setUint32(4, 20, true);
    const fragments = [table, bytes(1, 2), bytes(3, 4), bytes(5, 6)];
    assert.deepEqual([...frameBytes(fragments, 2, 0)], [1, 2, 3, 4]);
    assert.deepEqual([...frameBytes(fragments, 2, 1)], [5, 6]);
  });

  it('goes by the end markers without a table', () => {
    const fragments = [EMPTY, bytes(1, 2), bytes(0xff, 0xd9), bytes(0xff, 0xd9, 0x00)];
    assert.deepEqual([...frameBytes(fragments, 2, 0)], [1, 2, 0xff, 0xd9]);
    assert.deepEqual([...frameBytes(fragments, 2, 1)], [0xff, 0xd9, 0]);
  });

  it('refuses frames that cannot be told apart', () => {
    const unended = [EMPTY, bytes(1, 2), bytes(3, 4), bytes(5, 6)];
    assert.throws(() => frameBytes(unended, 2, 0), { code: 'truncated' });
    assert.throws(() => frameBytes([bytes(9, 9, 9, 9), ...unended.slice(1)], 2, 0), {
      code: 'bad_value',
    });
    assert.throws(() => frameBytes([EMPTY], 1, 0), { code: 'truncated' });
  });
});
