import { parseDicom, type DicomFile } from '../dicom/dicom-file.ts';
import { TAG } from '../dicom/tag.ts';
import { writePart10, type NewElement } from '../dicom/write-part10.ts';

const us = (tag: number, value: number): NewElement => ({ tag, vr: 'US', value });

/** An uncompressed image for tests: what is not told is an 8-bit MONOCHROME2 DX of the chest. */
export function makeImage(image: {
  readonly rows: number;
  readonly columns: number;
  readonly native: Uint8Array;
  readonly bits?: 8 | 16;
  readonly photometric?: string;
  readonly samples?: 1 | 3;
  readonly signed?: boolean;
  readonly elements?: readonly NewElement[];
}): DicomFile {
  const { bits = 8, elements = [] } = image;
  const all: readonly NewElement[] = [
    { tag: TAG.Modality, vr: 'CS', value: 'DX' },
    { tag: TAG.BodyPartExamined, vr: 'CS', value: 'CHEST' },
    { tag: TAG.PatientName, vr: 'PN', value: 'CANARY^Name' },
    { tag: TAG.StudyInstanceUID, vr: 'UI', value: '2.25.2' },
    { tag: TAG.SeriesInstanceUID, vr: 'UI', value: '2.25.3' },
    us(TAG.SamplesPerPixel, image.samples ?? 1),
    { tag: TAG.PhotometricInterpretation, vr: 'CS', value: image.photometric ?? 'MONOCHROME2' },
    us(TAG.Rows, image.rows),
    us(TAG.Columns, image.columns),
    us(TAG.BitsAllocated, bits),
    us(TAG.BitsStored, bits),
    us(TAG.HighBit, bits - 1),
    us(TAG.PixelRepresentation, image.signed ? 1 : 0),
  ];
  const changed = new Set(elements.map(({ tag }) => tag));
  return parseDicom(
    writePart10({
      transferSyntaxUid: '1.2.840.10008.1.2.1',
      sopClassUid: '1.2.840.10008.5.1.4.1.1.1.1',
      sopInstanceUid: '2.25.1',
      elements: [...all.filter(({ tag }) => !changed.has(tag)), ...elements],
      pixels: { native: image.native, vr: bits === 8 ? 'OB' : 'OW' },
    }),
  );
}

/** 16-bit values as little-endian bytes. */
export function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(2 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint16(2 * i, value & 0xffff, true);
  return bytes;
}

/** A DS attribute. */
export function decimal(tag: number, value: string): NewElement {
  return { tag, vr: 'DS', value };
}
