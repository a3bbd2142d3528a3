import { ImagingError } from './imaging-error.ts';

const HEADER = 64;

/**
 * Decodes one RLE frame (PS3.5 annex G) to `segments` planes of `length` bytes each: one plane for
 * each byte of each sample, most significant first.
 */
export function decodeRle(bytes: Uint8Array, segments: number, length: number): Uint8Array[] {
  if (bytes.length < HEADER) throw new ImagingError('malformed', 'RLE header is cut short');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== segments)
    throw new ImagingError('malformed', 'RLE segment count');
  return Array.from({ length: segments }, (_, index) => {
    const start = view.getUint32(4 + 4 * index, true);
    const end = index + 1 < segments ? view.getUint32(8 + 4 * index, true) : bytes.length;
    if (start < HEADER || end < start || end > bytes.length) {
      throw new ImagingError('malformed', 'RLE segment offset');
    }
    return unpack(bytes.subarray(start, end), length);
  });
}

/** PackBits; the output never grows past `length`, which the caller has bounded. */
function unpack(input: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  let to = 0;
  while (to < length) {
    const control = input[at++];
    if (control === undefined) throw new ImagingError('malformed', 'RLE segment is cut short');
    if (control < 128) {
      const literal = input.subarray(at, at + control + 1);
      if (literal.length !== control + 1) throw new ImagingError('malformed', 'RLE literal');
      if (to + literal.length > length) throw new ImagingError('malformed', 'RLE segment length');
      out.set(literal, to);
      at += literal.length;
      to += literal.length;
    } else if (control > 128) {
      const value = input[at++];
      const count = 257 - control;
      if (value === undefined) throw new ImagingError('malformed', 'RLE run is cut short');
      if (to + count > length) throw new ImagingError('malformed', 'RLE segment length');
      out.fill(value, to, to + count);
      to += count;
    }
  }
  return out;
}
