import { asBytes, concatBytes, MalformedError, Reader, type Bytes } from '@cloister/bytes';
import { convertIndexedToRgb, decode, encode } from 'fast-png';
import { MAX_SAMPLES } from '../dicom/dicom-file.ts';
import { ImagingError } from './imaging-error.ts';
import { inflate } from '../dicom/inflate.ts';

/** A PNG as grey or RGB samples of 8 or 16 bits. */
export interface PngImage {
  readonly rows: number;
  readonly columns: number;
  readonly channels: 1 | 3;
  readonly bits: 8 | 16;
  readonly samples: Uint8Array | Uint16Array;
}

/**
 * Decodes a PNG (ISO/IEC 15948), bounded: the data may not inflate to more than the image that the
 * header promises. Palettes become RGB; transparency is refused unless every pixel is opaque.
 */
export function decodePng(bytes: Uint8Array): PngImage {
  const pixels = pixelChunks(bytes);
  let png: ReturnType<typeof decode>;
  try {
    png = decode(pixels, { checkCrc: true });
  } catch (cause) {
    throw new ImagingError('malformed', 'the PNG cannot be decoded', { cause });
  }
  const { width: columns, height: rows, depth } = png;
  if (png.transparency && png.transparency.length > 0) {
    throw new ImagingError('unsupported_pixels', 'a PNG with a transparent colour');
  }
  if (png.palette) {
    if (png.palette.some((colour) => (colour[3] ?? 255) !== 255)) {
      throw new ImagingError('unsupported_pixels', 'a PNG with transparent pixels');
    }
    const samples = Uint8Array.from(convertIndexedToRgb(png));
    // A palette with alpha gives four samples a pixel.
    return {
      rows,
      columns,
      channels: 3,
      bits: 8,
      samples: withoutAlpha(samples, rows * columns, 255),
    };
  }
  const count = rows * columns;
  const channels = png.channels <= 2 ? 1 : 3;
  const data = depth < 8 ? unpack(png.data, rows, columns, depth) : Uint16Array.from(png.data);
  const most = depth === 16 ? 65_535 : 255;
  const samples = png.channels === channels ? data : withoutAlpha(data, count, most, channels);
  if (samples.length !== count * channels) throw new ImagingError('malformed', 'PNG sample count');
  if (depth === 16) return { rows, columns, channels, bits: 16, samples };
  return { rows, columns, channels, bits: 8, samples: Uint8Array.from(samples) };
}

/** Encodes 8-bit grey or RGB samples as a PNG. */
export function encodePng(
  samples: Uint8Array,
  size: { readonly rows: number; readonly columns: number; readonly channels: 1 | 3 },
): Bytes {
  const { rows: height, columns: width, channels } = size;
  return asBytes(encode({ width, height, data: samples, depth: 8, channels }));
}

/** Chunks that make the picture. All others (texts, profiles) stay out, unread. */
const PIXEL_CHUNKS = new Set(['IHDR', 'PLTE', 'tRNS', 'IDAT', 'IEND']);

/** The PNG without what makes no picture, after its data were found to inflate to its very size. */
function pixelChunks(bytes: Uint8Array): Bytes {
  const reader = new Reader(bytes, 'PNG');
  const parts: Uint8Array[] = [reader.bytes(8)];
  const data: Uint8Array[] = [];
  let expected = 0;
  for (let type = ''; type !== 'IEND'; ) {
    const at = reader.position;
    const length = reader.u32be();
    const first = type === '';
    type = String.fromCharCode(...reader.bytes(4));
    const chunk = reader.bytes(length);
    reader.bytes(4);
    if (first !== (type === 'IHDR')) throw new MalformedError('bad_value', 'PNG chunk order');
    if (type === 'IHDR') expected = inflatedLength(chunk);
    if (type === 'IDAT') data.push(chunk);
    if (PIXEL_CHUNKS.has(type)) parts.push(bytes.subarray(at, reader.position));
  }
  const zlib = concatBytes(...data);
  if (zlib.length < 2) throw new MalformedError('truncated', 'PNG data');
  if (inflate(zlib.subarray(2), expected).length !== expected) {
    throw new MalformedError('bad_value', 'PNG data length');
  }
  return concatBytes(...parts);
}

/** How many bytes the scan lines take, filter bytes and interlace passes included. */
function inflatedLength(header: Uint8Array): number {
  const reader = new Reader(header, 'PNG header');
  const columns = reader.u32be();
  const rows = reader.u32be();
  const depth = reader.u8();
  const channels = [1, 0, 3, 1, 2, 0, 4][reader.u8()] ?? 0;
  reader.bytes(2);
  const interlace = reader.u8();
  reader.end();
  if (channels === 0 || columns === 0 || rows === 0 || ![1, 2, 4, 8, 16].includes(depth)) {
    throw new MalformedError('bad_value', 'PNG header');
  }
  if (rows * columns * channels > MAX_SAMPLES) throw new MalformedError('too_large', 'PNG image');
  const pass = (width: number, height: number): number =>
    width === 0 ? 0 : height * (1 + Math.ceil((width * channels * depth) / 8));
  if (interlace === 0) return pass(columns, rows);
  // Adam7: x and y start, x and y step of each pass.
  const passes = [
    [0, 0, 8, 8],
    [4, 0, 8, 8],
    [0, 4, 4, 8],
    [2, 0, 4, 4],
    [0, 2, 2, 4],
    [1, 0, 2, 2],
    [0, 1, 1, 2],
  ];
  return passes.reduce(
    (sum, [x = 0, y = 0, dx = 1, dy = 1]) =>
      sum + pass(Math.ceil((columns - x) / dx), Math.ceil((rows - y) / dy)),
    0,
  );
}

/** Samples of less than a byte, spread to 0..255. */
function unpack(
  packed: ArrayLike<number>,
  rows: number,
  columns: number,
  depth: number,
): Uint16Array {
  const perByte = 8 / depth;
  const line = Math.ceil(columns / perByte);
  const most = 2 ** depth - 1;
  const out = new Uint16Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const byte = packed[row * line + Math.floor(column / perByte)] ?? 0;
      const value = (byte >> (8 - depth * ((column % perByte) + 1))) & most;
      out[row * columns + column] = (value * 255) / most;
    }
  }
  return out;
}

function withoutAlpha<T extends Uint8Array | Uint16Array>(
  samples: T,
  pixels: number,
  opaque: number,
  channels = 3,
): T {
  if (samples.length === pixels * channels) return samples;
  const step = channels + 1;
  for (let i = 0; i < pixels; i++) {
    if (samples[i * step + channels] !== opaque) {
      throw new ImagingError('unsupported_pixels', 'a PNG with transparent pixels');
    }
    for (let s = 0; s < channels; s++) samples[i * channels + s] = samples[i * step + s] ?? 0;
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- subarray keeps the array's type
  return samples.subarray(0, pixels * channels) as T;
}
