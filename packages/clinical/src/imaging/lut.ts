import { MalformedError } from '@cloister/bytes';

/** A look-up table (PS3.3 C.11.1.1): values below `first` give the first entry, above it the last. */
export interface Lut {
  readonly first: number;
  readonly bits: number;
  readonly entries: Uint16Array;
}

/** Reads a LUT from its descriptor (entries, first value mapped, bits) and its data. */
export function parseLut(descriptor: Uint8Array, data: Uint8Array, signed: boolean): Lut {
  if (descriptor.length !== 6) throw new MalformedError('bad_value', 'DICOM LUT descriptor');
  const view = new DataView(descriptor.buffer, descriptor.byteOffset, 6);
  // PS3.3 C.11.1.1: zero stands for 65,536.
  const count = view.getUint16(0, true) || 65_536;
  const first = signed ? view.getInt16(2, true) : view.getUint16(2, true);
  const bits = view.getUint16(4, true);
  if (bits < 8 || bits > 16) throw new MalformedError('bad_value', 'DICOM LUT bits');
  const dataView = new DataView(data.buffer, data.byteOffset, data.length);
  // Tables of eight bits may be packed, two entries in a word (PS3.3 C.7.6.3.1.6).
  if (bits === 8 && data.length >= count && data.length <= count + 1) {
    return { first, bits, entries: Uint16Array.from(data.subarray(0, count)) };
  }
  if (data.length !== 2 * count) throw new MalformedError('bad_value', 'DICOM LUT data');
  const entries = Uint16Array.from({ length: count }, (_, i) => dataView.getUint16(2 * i, true));
  const most = 2 ** bits - 1;
  if (entries.some((entry) => entry > most)) {
    throw new MalformedError('bad_value', 'DICOM LUT entry');
  }
  return { first, bits, entries };
}

/** The entry for a value; out of range gives the nearest end. */
export function lookUp(lut: Lut, value: number): number {
  const at = Math.round(value) - lut.first;
  const index = at < 0 ? 0 : at >= lut.entries.length ? lut.entries.length - 1 : at;
  return lut.entries[index] ?? 0;
}
