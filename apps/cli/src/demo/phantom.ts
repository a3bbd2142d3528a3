import { encode } from 'fast-png';

const SIZE = 512;

/**
 * A drawn chest, 512 x 512, 8-bit grey PNG: two dark lungs with ribs in a lighter body, and the word
 * PHANTOM burnt in, so that nobody takes it for a radiograph. The same bytes every time.
 */
export function drawPhantom(): Uint8Array {
  const data = new Uint8Array(SIZE * SIZE);
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) data[y * SIZE + x] = shade(x / SIZE, y / SIZE);
  }
  write(data, 'PHANTOM', 24, SIZE - 52, 5);
  return encode({ width: SIZE, height: SIZE, data, channels: 1, depth: 8 });
}

/** Grey at a place of the unit square. */
function shade(x: number, y: number): number {
  const body = 1 - smooth(ellipse(x, y, 0.5, 0.62, 0.46, 0.6));
  const lung =
    1 -
    smooth(Math.min(ellipse(x, y, 0.31, 0.48, 0.15, 0.33), ellipse(x, y, 0.69, 0.48, 0.15, 0.33)));
  const heart = 1 - smooth(ellipse(x, y, 0.55, 0.66, 0.13, 0.15));
  const spine = Math.exp(-(((x - 0.5) / 0.035) ** 2));
  const rib = 0.5 + 0.5 * Math.sin(2 * Math.PI * (y * 9 + 1.6 * (x - 0.5) ** 2));
  const tissue = 40 + 125 * body;
  const air = lung * (95 - 26 * rib);
  return Math.max(
    0,
    Math.min(255, Math.round(tissue - air + 48 * heart * lung + 38 * spine * body)),
  );
}

/** Distance from an ellipse's rim in units of its radius; negative inside. */
function ellipse(x: number, y: number, cx: number, cy: number, rx: number, ry: number): number {
  return Math.hypot((x - cx) / rx, (y - cy) / ry) - 1;
}

/** 0 well inside, 1 well outside, soft between. */
function smooth(distance: number): number {
  const t = Math.max(0, Math.min(1, distance / 0.16 + 0.5));
  return t * t * (3 - 2 * t);
}

/** Letters of PHANTOM, 5 x 7, a row per number, the leftmost pixel in bit 4. */
const GLYPHS: Readonly<Record<string, readonly number[]>> = {
  P: [30, 17, 17, 30, 16, 16, 16],
  H: [17, 17, 17, 31, 17, 17, 17],
  A: [14, 17, 17, 31, 17, 17, 17],
  N: [17, 25, 21, 19, 17, 17, 17],
  T: [31, 4, 4, 4, 4, 4, 4],
  O: [14, 17, 17, 17, 17, 17, 14],
  M: [17, 27, 21, 21, 17, 17, 17],
};

function write(data: Uint8Array, text: string, left: number, top: number, scale: number): void {
  Array.from(text).forEach((letter, index) => {
    GLYPHS[letter]?.forEach((row, y) => {
      for (let x = 0; x < 5 * scale; x++) {
        if (((row >> (4 - Math.floor(x / scale))) & 1) === 0) continue;
        for (let dy = 0; dy < scale; dy++) {
          data[(top + y * scale + dy) * SIZE + left + index * 6 * scale + x] = 250;
        }
      }
    });
  });
}
