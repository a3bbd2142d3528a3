/** How the bytes of a DICOM data set and of its pixels are written (PS3.5 section 10, PS3.6 table A-1). */
export interface TransferSyntax {
  readonly name: string;
  readonly explicitVr: boolean;
  /** How each frame is coded; `native` is uncompressed. */
  readonly pixels:
    | 'native'
    | 'rle'
    | 'jpeg-baseline'
    | 'jpeg-lossless'
    | 'jpeg-ls'
    | 'jpeg-2000'
    | 'refused';
  /** Why files of this syntax are refused, in plain words; absent where they are read. */
  readonly refusal?: string;
}

const compressed = (name: string, pixels: TransferSyntax['pixels']): TransferSyntax => ({
  name,
  explicitVr: true,
  pixels,
});

const refused = (name: string, refusal: string): TransferSyntax => ({
  name,
  explicitVr: true,
  pixels: 'refused',
  refusal,
});

const HTJ2K = 'has no decoder without WebAssembly; decode it before, or send JPEG 2000';

/** What Cloister does with each transfer syntax that it knows; any other is refused as unknown. */
export const TRANSFER_SYNTAXES: ReadonlyMap<string, TransferSyntax> = new Map([
  [
    '1.2.840.10008.1.2',
    { name: 'Implicit VR Little Endian', explicitVr: false, pixels: 'native' } as const,
  ],
  ['1.2.840.10008.1.2.1', compressed('Explicit VR Little Endian', 'native')],
  ['1.2.840.10008.1.2.5', compressed('RLE Lossless', 'rle')],
  ['1.2.840.10008.1.2.4.50', compressed('JPEG Baseline (Process 1)', 'jpeg-baseline')],
  ['1.2.840.10008.1.2.4.57', compressed('JPEG Lossless (Process 14)', 'jpeg-lossless')],
  ['1.2.840.10008.1.2.4.70', compressed('JPEG Lossless SV1', 'jpeg-lossless')],
  ['1.2.840.10008.1.2.4.80', compressed('JPEG-LS Lossless', 'jpeg-ls')],
  ['1.2.840.10008.1.2.4.81', compressed('JPEG-LS Near-Lossless', 'jpeg-ls')],
  ['1.2.840.10008.1.2.4.90', compressed('JPEG 2000 (Lossless Only)', 'jpeg-2000')],
  ['1.2.840.10008.1.2.4.91', compressed('JPEG 2000', 'jpeg-2000')],
  [
    '1.2.840.10008.1.2.4.51',
    refused('JPEG Extended (Process 2 and 4)', 'has no 12-bit decoder here; decode it before'),
  ],
  ['1.2.840.10008.1.2.4.201', refused('HTJ2K (Lossless Only)', HTJ2K)],
  ['1.2.840.10008.1.2.4.202', refused('HTJ2K RPCL (Lossless Only)', HTJ2K)],
  ['1.2.840.10008.1.2.4.203', refused('HTJ2K', HTJ2K)],
]);

/** Syntaxes whose very data set cannot be read here, so that the file is refused before its tags. */
export const UNREADABLE_SYNTAXES: ReadonlyMap<string, string> = new Map([
  ['1.2.840.10008.1.2.2', 'Explicit VR Big Endian is retired and not read'],
  ['1.2.840.10008.1.2.1.99', 'Deflated Explicit VR Little Endian is not read'],
]);
