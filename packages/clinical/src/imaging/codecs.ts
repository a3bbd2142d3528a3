// oxlint-disable-next-line typescript/triple-slash-reference -- ambient types cannot be imported; who compiles this file alone needs them too
/// <reference path="./codecs.d.ts" />
import { concatBytes, copyBytes } from '@cloister/bytes';
import { readJpeg2000Size, readJpegSize, type CodestreamSize } from './codestream.ts';
import { ImagingError } from './imaging-error.ts';

/** What one decoder gives: little-endian samples, interleaved, one or two bytes each. */
export interface Decoded {
  readonly bytes: Uint8Array;
  readonly bytesPerSample: 1 | 2;
  readonly components: number;
  /** The decoder has turned YCbCr into RGB. */
  readonly toRgb: boolean;
}

/** The size that the file promises; a codestream that says otherwise is refused unread. */
export interface Expected {
  readonly rows: number;
  readonly columns: number;
  readonly components: number;
}

// Fresh instances: one that a bad stream has broken is dropped with its memory, and the pixels of
// one patient never lie in the heap that decodes the next one's.
// (Emscripten writes into its options, so each gets its own; its prints would go to stdout.)
const quiet = (): CodecOptions => ({ print: () => {}, printErr: () => {} });

const END_OF_IMAGE = Uint8Array.of(0xff, 0xd9);

/** JPEG baseline, 8 bits (T.81); progressive too, which PNG and JPEG uploads may be. */
export async function decodeJpeg(bytes: Uint8Array, expected: Expected): Promise<Decoded> {
  const size = readJpegSize(bytes);
  check(size, expected);
  if (size.precision !== 8 || (size.frame !== 0xc0 && size.frame !== 0xc1 && size.frame !== 0xc2)) {
    throw new ImagingError('unsupported_pixels', 'JPEG of another process than 8-bit Huffman');
  }
  const { default: create } = await import('@cornerstonejs/codec-libjpeg-turbo-8bit/decode');
  const { JPEGDecoder } = await create(quiet());
  return run(new JPEGDecoder(), bytes, expected, size.components === 3);
}

/** JPEG-LS, lossless and near-lossless (T.87). */
export async function decodeJpegLs(bytes: Uint8Array, expected: Expected): Promise<Decoded> {
  const size = readJpegSize(bytes);
  check(size, expected);
  if (size.frame !== 0xf7) throw new ImagingError('malformed', 'not a JPEG-LS frame');
  const { default: create } = await import('@cornerstonejs/codec-charls/decode');
  const { JpegLSDecoder } = await create(quiet());
  // Without an end marker CharLS searches its whole heap for one, for seconds, before it fails.
  const ended = concatBytes(bytes, END_OF_IMAGE);
  return run(new JpegLSDecoder(), ended, expected, false);
}

/** JPEG 2000, reversible and irreversible (T.800). */
export async function decodeJpeg2000(bytes: Uint8Array, expected: Expected): Promise<Decoded> {
  check(readJpeg2000Size(bytes), expected);
  const { default: create } = await import('@cornerstonejs/codec-openjpeg/decode');
  const { J2KDecoder } = await create(quiet());
  return run(new J2KDecoder(), bytes, expected, false);
}

/** JPEG lossless, process 14 (T.81 annex H). */
export async function decodeJpegLossless(bytes: Uint8Array, expected: Expected): Promise<Decoded> {
  const size = readJpegSize(bytes);
  check(size, expected);
  if (size.frame !== 0xc3) throw new ImagingError('malformed', 'not a JPEG lossless frame');
  const { Decoder } = await import('jpeg-lossless-decoder-js');
  const bytesPerSample = size.precision > 8 ? 2 : 1;
  const input = copyBytes(bytes);
  const samples = attempt(() =>
    new Decoder().decode(input.buffer, 0, input.length, bytesPerSample),
  );
  const out = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  return finish(out, bytesPerSample, expected, false);
}

function run(
  decoder: CodecDecoder,
  bytes: Uint8Array,
  expected: Expected,
  toRgb: boolean,
): Decoded {
  const { out, info } = attempt(() => {
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.decode();
    // A copy: the memory of the decoder is freed with it.
    return { out: copyBytes(decoder.getDecodedBuffer()), info: decoder.getFrameInfo() };
  });
  const { width: columns, height: rows, componentCount: components } = info;
  check({ rows, columns, components }, expected);
  return finish(out, info.bitsPerSample > 8 ? 2 : 1, expected, toRgb);
}

function finish(bytes: Uint8Array, bytesPerSample: 1 | 2, e: Expected, toRgb: boolean): Decoded {
  if (bytes.length !== e.rows * e.columns * e.components * bytesPerSample) {
    throw new ImagingError('malformed', 'the decoder gave another number of samples');
  }
  return { bytes, bytesPerSample, components: e.components, toRgb };
}

/** Whatever a decoder throws (C++ exceptions are numbers), the answer is that the stream is bad. */
function attempt<T>(decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw new ImagingError('malformed', 'the compressed image cannot be decoded', { cause });
  }
}

function check(size: Pick<CodestreamSize, keyof Expected>, expected: Expected): void {
  const agrees =
    size.rows === expected.rows &&
    size.columns === expected.columns &&
    size.components === expected.components;
  if (!agrees) throw new ImagingError('malformed', 'the codestream has another size than the file');
}
