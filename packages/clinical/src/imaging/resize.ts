/** The cubic convolution kernel with a = -0.5, which Pillow and torchvision's antialias use. */
function cubic(x: number): number {
  const t = Math.abs(x);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  if (t < 2) return ((-0.5 * t + 2.5) * t - 4) * t + 2;
  return 0;
}

interface Taps {
  readonly first: number;
  readonly weights: Float64Array;
}

/** For each output position: where its source samples begin and what each weighs. */
function taps(from: number, to: number): readonly Taps[] {
  const scale = from / to;
  // Shrinking widens the kernel over all samples that an output pixel covers: that is antialiasing.
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const last = Math.min(from, Math.trunc(center + support + 0.5));
    const weights = Float64Array.from({ length: last - first }, (__, k) =>
      cubic((first + k - center + 0.5) / stretch),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/**
 * Resizes one channel by antialiased bicubic convolution, rows first, aspect ratio not kept; equal
 * to Pillow's `Image.resize(…, BICUBIC)` on float images. The size in is the size out: unchanged.
 */
export function resizeBicubic(
  values: Float32Array<ArrayBuffer>,
  from: { readonly rows: number; readonly columns: number },
  to: { readonly rows: number; readonly columns: number },
): Float32Array<ArrayBuffer> {
  const across =
    from.columns === to.columns
      ? values
      : convolve(values, taps(from.columns, to.columns), from.rows, from.columns, 1, to.columns);
  if (from.rows === to.rows) return across.slice();
  const out = new Float32Array(to.rows * to.columns);
  for (const [row, { first, weights }] of taps(from.rows, to.rows).entries()) {
    for (let column = 0; column < to.columns; column++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) {
        sum += (across[(first + k) * to.columns + column] ?? 0) * (weights[k] ?? 0);
      }
      out[row * to.columns + column] = sum;
    }
  }
  return out;
}

function convolve(
  values: Float32Array,
  columnTaps: readonly Taps[],
  rows: number,
  columns: number,
  step: number,
  outColumns: number,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(rows * outColumns);
  for (let row = 0; row < rows; row++) {
    for (const [column, { first, weights }] of columnTaps.entries()) {
      let sum = 0;
      const at = row * columns + first;
      for (let k = 0; k < weights.length; k++)
        sum += (values[at + k * step] ?? 0) * (weights[k] ?? 0);
      out[row * outColumns + column] = sum;
    }
  }
  return out;
}
