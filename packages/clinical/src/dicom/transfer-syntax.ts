/** How the bytes of a DICOM data set and of its pixels are written (PS3.5 section 10, PS3.6 table A-1). */
export interface TransferSyntax {
  readonly name: string;
  readonly explicitVr: boolean;
  /** How each frame is coded; `native` is uncompressed. */
  readonly pixels: 'native' | 'rle' | 'jpeg-baseline' | 'jpeg-lossless' | 'jpeg-ls' | 'jpeg-2000';
}

const compressed = (name: string, pixels: TransferSyntax['pixels']): TransferSyntax => ({
  name,
  explicitVr: true,
  pixels,
});

/** The syntax whose data set is compressed as a whole (PS3.5 A.5). */
export const DEFLATED = '1.2.840.10008.1.2.1.99';

/** What Cloister does with each transfer syntax that it knows; any other is refused as unknown. */
export const TRANSFER_SYNTAXES: ReadonlyMap<string, TransferSyntax> = new Map([
  [
    '1.2.840.10008.1.2',
    { name: 'Implicit VR Little Endian', explicitVr: false, pixels: 'native' } as const,
  ],
  ['1.2.840.10008.1.2.1', compressed('Explicit VR Little Endian', 'native')],
  [DEFLATED, compressed('Deflated Explicit VR Little Endian', 'native')],
  ['1.2.840.10008.1.2.5', compressed('RLE Lossless', 'rle')],
  ['1.2.840.10008.1.2.4.50', compressed('JPEG Baseline (Process 1)', 'jpeg-baseline')],
  ['1.2.840.10008.1.2.4.57', compressed('JPEG Lossless (Process 14)', 'jpeg-lossless')],
  ['1.2.840.10008.1.2.4.70', compressed('JPEG Lossless SV1', 'jpeg-lossless')],
  ['1.2.840.10008.1.2.4.80', compressed('JPEG-LS Lossless', 'jpeg-ls')],
  ['1.2.840.10008.1.2.4.81', compressed('JPEG-LS Near-Lossless', 'jpeg-ls')],
  ['1.2.840.10008.1.2.4.90', compressed('JPEG 2000 (Lossless Only)', 'jpeg-2000')],
  ['1.2.840.10008.1.2.4.91', compressed('JPEG 2000', 'jpeg-2000')],
]);

const HTJ2K = 'has no decoder without WebAssembly; decode it before, or send JPEG 2000';

/** Syntaxes that are known and not read: their files are refused with this reason, at once. */
export const REFUSED_SYNTAXES: ReadonlyMap<string, string> = new Map([
  ['1.2.840.10008.1.2.2', 'Explicit VR Big Endian is retired and not read'],
  [
    '1.2.840.10008.1.2.4.51',
    'JPEG Extended (Process 2 and 4) has no 12-bit decoder here; decode it before',
  ],
  ['1.2.840.10008.1.2.4.201', `HTJ2K (Lossless Only) ${HTJ2K}`],
  ['1.2.840.10008.1.2.4.202', `HTJ2K RPCL (Lossless Only) ${HTJ2K}`],
  ['1.2.840.10008.1.2.4.203', `HTJ2K ${HTJ2K}`],
]);
