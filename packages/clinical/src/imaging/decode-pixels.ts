import type { DicomFile, PixelDescription } from '../dicom/dicom-file.ts';
import { frameBytes } from '../dicom/frames.ts';
import { TAG } from '../dicom/tag.ts';
import {
  decodeJpeg,
  decodeJpeg2000,
  decodeJpegLossless,
  decodeJpegLs,
  type Decoded,
} from './codecs.ts';
import { ImagingError } from './imaging-error.ts';
import type { PixelFrame, Samples } from './pixel-frame.ts';
import { decodeRle } from './rle.ts';

/**
 * Decodes one frame of an image to its stored values: bits above `bitsStored` cleared, sign
 * extended, colour interleaved. Throws ImagingError: `unsupported_transfer_syntax` where no
 * decoder in plain JavaScript exists, `malformed` where the pixels are not what the file says.
 */
export async function decodePixels(
  file: DicomFile,
  options: { readonly frame?: number } = {},
): Promise<PixelFrame> {
  const { pixels } = file;
  if (!pixels) throw new ImagingError('no_pixels', 'the object has no pixel data');
  const frame = options.frame ?? 0;
  if (!Number.isInteger(frame) || frame < 0 || frame >= pixels.frames) {
    throw new ImagingError('no_pixels', 'the object has no such frame');
  }
  const { samples, toRgb } = await decodeFrame(file, pixels, frame);
  return {
    rows: pixels.rows,
    columns: pixels.columns,
    samplesPerPixel: pixels.samplesPerPixel,
    photometric: toRgb ? 'RGB' : pixels.photometric,
    bitsStored: pixels.bitsStored,
    signed: pixels.signed,
    samples,
    file,
  };
}

async function decodeFrame(
  file: DicomFile,
  pixels: PixelDescription,
  frame: number,
): Promise<{ samples: Samples; toRgb: boolean }> {
  const coding = file.transferSyntax.pixels;
  const element = file.dataSet.get(TAG.PixelData);
  if (!element) throw new ImagingError('no_pixels', 'the object has no pixel data');
  const encapsulated = element.fragments !== undefined;
  if ((coding === 'native') === encapsulated) {
    throw new ImagingError('malformed', 'the pixel data contradict the transfer syntax');
  }
  if (coding === 'native') {
    return { samples: nativeSamples(element.value, pixels, frame), toRgb: false };
  }
  const bytes = frameBytes(element.fragments ?? [], pixels.frames, frame);
  if (coding === 'rle') return { samples: rleSamples(bytes, pixels), toRgb: false };
  if (pixels.bitsAllocated !== 8 && pixels.bitsAllocated !== 16) {
    throw new ImagingError('unsupported_pixels', 'compressed pixels of this depth');
  }
  const decoded = await STREAM_DECODERS[coding](bytes, {
    rows: pixels.rows,
    columns: pixels.columns,
    components: pixels.samplesPerPixel,
  });
  return { samples: streamSamples(decoded, pixels), toRgb: decoded.toRgb };
}

const STREAM_DECODERS = {
  'jpeg-baseline': decodeJpeg,
  'jpeg-lossless': decodeJpegLossless,
  'jpeg-ls': decodeJpegLs,
  'jpeg-2000': decodeJpeg2000,
} as const;

function nativeSamples(value: Uint8Array, pixels: PixelDescription, frame: number): Samples {
  const { rows, columns, samplesPerPixel, bitsAllocated } = pixels;
  const count = rows * columns * samplesPerPixel;
  if (bitsAllocated === 1) return bitSamples(value, frame * count, count);
  const length = count * (bitsAllocated / 8);
  const total = length * pixels.frames;
  // One byte of padding makes the length even (PS3.5 8.1.1).
  if (value.length !== total && value.length !== total + (total % 2)) {
    throw new ImagingError('malformed', 'the pixel data have another length than the image');
  }
  const bytes = value.slice(frame * length, (frame + 1) * length);
  const samples = storedValues(bytes, bitsAllocated, pixels);
  if (!pixels.planar) return samples;
  const out = samples.slice();
  const plane = rows * columns;
  for (let i = 0; i < plane; i++) {
    for (let s = 0; s < 3; s++) out[3 * i + s] = samples[s * plane + i] ?? 0;
  }
  return out;
}

/** PS3.5 8.1.1: frames of one-bit images follow each other without a gap, low bit first. */
function bitSamples(value: Uint8Array, first: number, count: number): Uint8Array {
  if (value.length * 8 < first + count) {
    throw new ImagingError('malformed', 'the pixel data have another length than the image');
  }
  return Uint8Array.from({ length: count }, (_, i) => {
    const bit = first + i;
    return ((value[bit >> 3] ?? 0) >> (bit & 7)) & 1;
  });
}

function rleSamples(bytes: Uint8Array, pixels: PixelDescription): Samples {
  const { rows, columns, samplesPerPixel, bitsAllocated } = pixels;
  if (bitsAllocated === 1) throw new ImagingError('unsupported_pixels', 'RLE of one-bit pixels');
  const size = bitsAllocated / 8;
  const plane = rows * columns;
  const segments = decodeRle(bytes, samplesPerPixel * size, plane);
  const out = new Uint8Array(plane * samplesPerPixel * size);
  for (const [index, segment] of segments.entries()) {
    const sample = Math.floor(index / size);
    // Segments hold the most significant byte first; samples are little-endian here.
    const byte = size - 1 - (index % size);
    const step = samplesPerPixel * size;
    let to = sample * size + byte;
    for (const value of segment) {
      out[to] = value;
      to += step;
    }
  }
  return storedValues(out, bitsAllocated, pixels);
}

function streamSamples(decoded: Decoded, pixels: PixelDescription): Samples {
  // A decoder aligns values to bit 0 and may use fewer bytes than the file allocates.
  const aligned = { ...pixels, highBit: pixels.bitsStored - 1 };
  if (pixels.bitsStored > 8 * decoded.bytesPerSample && pixels.signed) {
    throw new ImagingError('malformed', 'the codestream has fewer bits than the file');
  }
  return storedValues(decoded.bytes, decoded.bytesPerSample === 1 ? 8 : 16, aligned);
}

/** Little-endian words to stored values (PS3.5 8.1.1): shift, mask, extend the sign. */
function storedValues(
  bytes: Uint8Array,
  bits: 8 | 16 | 32,
  { highBit, bitsStored, signed }: PixelDescription,
): Samples {
  const size = bits / 8;
  const count = bytes.length / size;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const stored = Math.min(bitsStored, bits);
  const left = 32 - stored;
  const shift = Math.min(highBit, bits - 1) + 1 - stored;
  const out = newSamples(bits, signed, count);
  for (let i = 0; i < count; i++) {
    const at = i * size;
    const word =
      bits === 8
        ? view.getUint8(at)
        : bits === 16
          ? view.getUint16(at, true)
          : view.getUint32(at, true);
    const aligned = (word >>> shift) << left;
    out[i] = signed ? aligned >> left : aligned >>> left;
  }
  return out;
}

function newSamples(bits: 8 | 16 | 32, signed: boolean, count: number): Samples {
  if (bits === 8) return signed ? new Int8Array(count) : new Uint8Array(count);
  if (bits === 16) return signed ? new Int16Array(count) : new Uint16Array(count);
  return signed ? new Int32Array(count) : new Uint32Array(count);
}
