import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resizeBicubic } from './resize.ts';

const size = (rows: number, columns: number): { rows: number; columns: number } => ({
  rows,
  columns,
});
const image = (
  rows: number,
  columns: number,
  at: (r: number, c: number) => number,
): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: rows * columns }, (_, i) => at(Math.floor(i / columns), i % columns));

/** The weight of source pixel `x` for output pixel `i`, straight from the definition. */
function weight(i: number, x: number, from: number, to: number): number {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const t = Math.abs((x + 0.5 - (i + 0.5) * scale) / stretch);
  if (t >= 2) return 0;
  return t < 1 ? 1.5 * t ** 3 - 2.5 * t ** 2 + 1 : -0.5 * t ** 3 + 2.5 * t ** 2 - 4 * t + 2;
}

function definition(
  values: Float32Array,
  from: { rows: number; columns: number },
  to: { rows: number; columns: number },
): number[] {
  const out: number[] = [];
  for (let r = 0; r < to.rows; r++) {
    for (let c = 0; c < to.columns; c++) {
      let [sum, total] = [0, 0];
      for (let y = 0; y < from.rows; y++) {
        for (let x = 0; x < from.columns; x++) {
          const w = weight(r, y, from.rows, to.rows) * weight(c, x, from.columns, to.columns);
          sum += w * (values[y * from.columns + x] ?? 0);
          total += w;
        }
      }
      out.push(sum / total);
    }
  }
  return out;
}

describe('resizeBicubic', () => {
  it('leaves an image of the wanted size alone', () => {
    const values = image(5, 7, (r, c) => r * 10 + c);
    assert.deepEqual(resizeBicubic(values, size(5, 7), size(5, 7)), values);
  });

  it('keeps a constant constant', () => {
    const out = resizeBicubic(new Float32Array(31 * 17).fill(42), size(31, 17), size(8, 9));
    assert.ok(out.every((value) => Math.abs(value - 42) < 1e-4));
  });

  for (const [from, to] of [
    [size(23, 17), size(8, 6)],
    [size(6, 5), size(13, 16)],
    [size(40, 4), size(7, 11)],
  ] as const) {
    it(`agrees with the definition from ${from.rows}x${from.columns} to ${to.rows}x${to.columns}`, () => {
      const values = image(from.rows, from.columns, (r, c) => (r * 37 + c * 91) % 256);
      const expected = definition(values, from, to);
      const out = resizeBicubic(values, from, to);
      assert.ok(out.every((value, i) => Math.abs(value - (expected[i] ?? 999)) < 1e-3));
    });
  }
});
