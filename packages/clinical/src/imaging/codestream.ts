import { ImagingError } from './imaging-error.ts';

/** The size that a JPEG or JPEG 2000 codestream claims, read before a decoder allocates for it. */
export interface CodestreamSize {
  readonly rows: number;
  readonly columns: number;
  readonly components: number;
  readonly precision: number;
  /** The start-of-frame marker: C0 baseline, C1 extended, C2 progressive, C3 lossless, F7 JPEG-LS. */
  readonly frame: number;
  /** Transform named by an Adobe APP14 segment; undefined where there is none. */
  readonly adobeTransform?: number;
}

const bad = (what: string): never => {
  throw new ImagingError('malformed', what);
};

/** Reads the markers of a JPEG (T.81 annex B) or JPEG-LS (T.87 annex C) up to the frame header. */
export function readJpegSize(bytes: Uint8Array): CodestreamSize {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const u16 = (at: number): number => (at + 2 <= bytes.length ? view.getUint16(at) : bad('JPEG'));
  if (u16(0) !== 0xffd8) bad('JPEG start of image');
  let adobeTransform: number | undefined;
  for (let at = 2; ; ) {
    const marker = u16(at);
    if (marker === 0xffff) {
      at += 1; // A fill byte (T.81 B.1.1.2).
      continue;
    }
    const length = u16(at + 2);
    if (marker >> 8 !== 0xff || length < 2) bad('JPEG marker');
    if (isFrameHeader(marker)) {
      if (length < 8 || at + 2 + length > bytes.length) bad('JPEG frame header');
      const rows = u16(at + 5);
      const columns = u16(at + 7);
      const [precision = 0, components = 0] = [bytes[at + 4], bytes[at + 9]];
      const size = { rows, columns, components, precision, frame: marker & 0xff };
      return adobeTransform === undefined ? size : { ...size, adobeTransform };
    }
    if (marker === 0xffee && length >= 14 && u16(at + 4) === 0x4164) {
      adobeTransform = bytes[at + 15];
    }
    at += 2 + length;
  }
}

function isFrameHeader(marker: number): boolean {
  if (marker === 0xfff7) return true;
  // C4, C8 and CC of the range are tables and reserved (T.81 table B.1).
  const isTable = marker === 0xffc4 || marker === 0xffc8 || marker === 0xffcc;
  return marker >= 0xffc0 && marker <= 0xffcf && !isTable;
}

/** Reads the SIZ segment of a JPEG 2000 codestream (T.800 A.5.1), bare or within a JP2 file. */
export function readJpeg2000Size(bytes: Uint8Array): CodestreamSize {
  const start = findCodestream(bytes);
  if (bytes.length < start + 43) bad('JPEG 2000 header is cut short');
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.length - start);
  if (view.getUint32(0) !== 0xff4fff51) bad('JPEG 2000 start of codestream');
  const columns = view.getUint32(8) - view.getUint32(16);
  const rows = view.getUint32(12) - view.getUint32(20);
  const tiles = view.getUint32(24) * view.getUint32(28);
  if (tiles === 0) bad('JPEG 2000 tile size');
  const precision = (view.getUint8(42) & 0x7f) + 1;
  return { rows, columns, components: view.getUint16(40), precision, frame: 0 };
}

function findCodestream(bytes: Uint8Array): number {
  if (bytes[0] === 0xff) return 0;
  // A JP2 file: boxes of length, type; `jp2c` holds the codestream (T.800 I.4).
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at);
    if (view.getUint32(at + 4) === 0x6a703263) return at + 8;
    if (length < 8) break;
    at += length;
  }
  return bad('JPEG 2000 start of codestream');
}
