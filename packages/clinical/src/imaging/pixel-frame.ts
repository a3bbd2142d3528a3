import type { DicomFile } from '../dicom/dicom-file.ts';

/** Stored values of one frame: as decoded, before any LUT; colour is interleaved. */
export type Samples = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array;

/** One decoded frame and the file whose attributes say how to show it. */
export interface PixelFrame {
  readonly rows: number;
  readonly columns: number;
  readonly samplesPerPixel: 1 | 3;
  /** How to read the samples now: a JPEG decoder has turned YBR into RGB already. */
  readonly photometric: string;
  readonly bitsStored: number;
  readonly signed: boolean;
  readonly samples: Samples;
  readonly file: DicomFile;
}
