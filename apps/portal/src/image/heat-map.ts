import type { HeatMap } from '@cloister/client';

/**
 * Inferno, sampled at nine places: perceptually even, readable without colour vision, never a
 * rainbow (spec/clinical.md 12).
 */
const STOPS: readonly (readonly [number, number, number])[] = [
  [0, 0, 4],
  [31, 12, 72],
  [85, 15, 109],
  [136, 34, 106],
  [186, 54, 85],
  [227, 89, 51],
  [249, 140, 10],
  [249, 201, 50],
  [252, 255, 164],
];

/** The colour of a value from 0 to 1. */
export function heatColour(value: number): readonly [number, number, number] {
  const at = Math.min(1, Math.max(0, value)) * (STOPS.length - 1);
  const low = Math.min(Math.floor(at), STOPS.length - 2);
  const [from, to] = [STOPS[low] ?? STOPS[0], STOPS[low + 1] ?? STOPS[0]];
  const mix = (i: 0 | 1 | 2): number =>
    Math.round((from?.[i] ?? 0) + ((to?.[i] ?? 0) - (from?.[i] ?? 0)) * (at - low));
  return [mix(0), mix(1), mix(2)];
}

/** How much of the image the heat covers: nothing at 0, all that the slider gives from 0.7 up. */
export function heatAlpha(value: number): number {
  const t = Math.min(1, Math.max(0, value / 0.7));
  return t * t * (3 - 2 * t);
}

/** The value at a place between the cells, whose centres lie at (i + 0.5) / n: bilinear. */
export function sampleHeat({ width, height, values }: HeatMap, u: number, v: number): number {
  const x = Math.min(width - 1, Math.max(0, u * width - 0.5));
  const y = Math.min(height - 1, Math.max(0, v * height - 0.5));
  const [x0, y0] = [Math.floor(x), Math.floor(y)];
  const at = (cx: number, cy: number): number =>
    values[Math.min(height - 1, cy) * width + Math.min(width - 1, cx)] ?? 0;
  const top = at(x0, y0) + (at(x0 + 1, y0) - at(x0, y0)) * (x - x0);
  const bottom = at(x0, y0 + 1) + (at(x0 + 1, y0 + 1) - at(x0, y0 + 1)) * (x - x0);
  return top + (bottom - top) * (y - y0);
}

/** The heat map as RGBA pixels of a size; zero is transparent. */
export function heatPixels(
  map: HeatMap,
  width: number,
  height: number,
): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = sampleHeat(map, (x + 0.5) / width, (y + 0.5) / height);
      const [red, green, blue] = heatColour(value);
      pixels.set([red, green, blue, Math.round(heatAlpha(value) * 255)], (y * width + x) * 4);
    }
  }
  return pixels;
}
