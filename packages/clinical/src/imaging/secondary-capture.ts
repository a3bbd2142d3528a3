import { concatBytes, encodeHex, type Bytes } from '@cloister/bytes';
import { MAX_SAMPLES } from '../dicom/dicom-file.ts';
import { TAG } from '../dicom/tag.ts';
import { writePart10, type NewElement } from '../dicom/write-part10.ts';
import { decodeJpeg } from './codecs.ts';
import { readJpegSize } from './codestream.ts';
import { isImageKind } from './image-kind.ts';
import { ImagingError } from './imaging-error.ts';
import { decodePng } from './png.ts';

const SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7';
const EXPLICIT_LE = '1.2.840.10008.1.2.1';
const JPEG_BASELINE = '1.2.840.10008.1.2.4.50';

/** What a Secondary Capture is made of; the UIDs come from {@link uidFromRandom}. */
export interface SecondaryCaptureSource {
  /** A PNG or a JPEG. */
  readonly image: Uint8Array;
  readonly uid: { readonly study: string; readonly series: string; readonly instance: string };
  readonly patient?: {
    readonly name?: string;
    readonly id?: string;
    readonly birthDate?: string;
    readonly sex?: string;
  };
  /** DA and TM values (PS3.5 6.2). */
  readonly studyDate?: string;
  readonly studyTime?: string;
  readonly bodyPart?: string;
}

/**
 * Wraps a PNG or JPEG as a Secondary Capture image (PS3.3 A.8.1), a Part 10 file. Only the pixels
 * are taken: comments, EXIF and other metadata of the source stay out.
 */
export async function wrapSecondaryCapture(source: SecondaryCaptureSource): Promise<Bytes> {
  const kind = isImageKind(source.image);
  if (kind === 'png') return wrapPng(source);
  if (kind === 'jpeg') return wrapJpeg(source);
  throw new ImagingError('malformed', 'neither a PNG nor a JPEG');
}

/** A UID of a random UUID (PS3.5 B.2): `2.25.` and 16 random bytes as a decimal number. */
export function uidFromRandom(random: Uint8Array): string {
  if (random.length !== 16) throw new RangeError('a UID takes 16 random bytes');
  return `2.25.${BigInt(`0x${encodeHex(random)}`)}`;
}

function wrapPng(source: SecondaryCaptureSource): Bytes {
  const { rows, columns, channels, bits, samples } = decodePng(source.image);
  const native = new Uint8Array(samples.length * (bits / 8));
  const view = new DataView(native.buffer);
  for (const [i, value] of samples.entries()) {
    if (bits === 8) native[i] = value;
    else view.setUint16(2 * i, value, true);
  }
  const photometric = channels === 1 ? 'MONOCHROME2' : 'RGB';
  const elements = describe(source, { rows, columns, channels, bits, photometric });
  // A window over the whole range: the same picture for every viewer.
  const window = channels === 1 ? wholeRange(bits) : [];
  return writePart10({
    transferSyntaxUid: EXPLICIT_LE,
    sopClassUid: SECONDARY_CAPTURE,
    sopInstanceUid: source.uid.instance,
    elements: [...elements, ...window],
    pixels: { native, vr: bits === 8 ? 'OB' : 'OW' },
  });
}

async function wrapJpeg(source: SecondaryCaptureSource): Promise<Bytes> {
  const size = readJpegSize(source.image);
  const { rows, columns, components, precision, frame } = size;
  if (components !== 1 && components !== 3) {
    throw new ImagingError('unsupported_pixels', 'a JPEG that is neither grey nor colour');
  }
  if (rows < 1 || columns < 1) throw new ImagingError('malformed', 'JPEG without a size');
  if (rows * columns * components > MAX_SAMPLES) {
    throw new ImagingError('too_large', 'the JPEG has too many pixels');
  }
  if (precision !== 8) throw new ImagingError('unsupported_pixels', 'a JPEG of more than 8 bits');
  const decoded = await decodeJpeg(source.image, { rows, columns, components });
  const common = { rows, columns, channels: components, bits: 8 } as const;
  const lossy: NewElement = { tag: TAG.LossyImageCompression, vr: 'CS', value: '01' };
  const target = { sopClassUid: SECONDARY_CAPTURE, sopInstanceUid: source.uid.instance };
  if (frame === 0xc0) {
    const photometric =
      components === 1 ? 'MONOCHROME2' : size.adobeTransform === 0 ? 'RGB' : 'YBR_FULL_422';
    return writePart10({
      ...target,
      transferSyntaxUid: JPEG_BASELINE,
      elements: [...describe(source, { ...common, photometric }), lossy],
      pixels: { frame: stripMetadata(source.image) },
    });
  }
  // Progressive JPEG has no transfer syntax in use: its pixels are kept uncompressed.
  const photometric = components === 1 ? 'MONOCHROME2' : 'RGB';
  return writePart10({
    ...target,
    transferSyntaxUid: EXPLICIT_LE,
    elements: [...describe(source, { ...common, photometric }), lossy],
    pixels: { native: decoded.bytes, vr: 'OB' },
  });
}

/** Leaves out APP1 to APP13, APP15 and comments; APP0 and Adobe's APP14 tell how to decode. */
function stripMetadata(jpeg: Uint8Array): Bytes {
  const view = new DataView(jpeg.buffer, jpeg.byteOffset, jpeg.length);
  const parts: Uint8Array[] = [jpeg.subarray(0, 2)];
  let at = 2;
  while (at + 4 <= jpeg.length) {
    const marker = view.getUint16(at);
    if (marker === 0xffff) {
      at += 1;
      continue;
    }
    if (marker === 0xffda) break;
    const end = at + 2 + view.getUint16(at + 2);
    const isMetadata =
      marker === 0xfffe || (marker >= 0xffe1 && marker <= 0xffef && marker !== 0xffee);
    if (!isMetadata) parts.push(jpeg.subarray(at, end));
    at = end;
  }
  return concatBytes(...parts, jpeg.subarray(at));
}

function describe(
  source: SecondaryCaptureSource,
  image: {
    readonly rows: number;
    readonly columns: number;
    readonly channels: 1 | 3;
    readonly bits: 8 | 16;
    readonly photometric: string;
  },
): readonly NewElement[] {
  const { patient = {}, uid } = source;
  const colour: NewElement[] =
    image.channels === 3 ? [{ tag: TAG.PlanarConfiguration, vr: 'US', value: 0 }] : [];
  const bodyPart: NewElement[] =
    source.bodyPart === undefined
      ? []
      : [{ tag: TAG.BodyPartExamined, vr: 'CS', value: source.bodyPart }];
  return [
    { tag: TAG.SpecificCharacterSet, vr: 'CS', value: 'ISO_IR 192' },
    { tag: TAG.StudyDate, vr: 'DA', value: source.studyDate ?? '' },
    { tag: TAG.StudyTime, vr: 'TM', value: source.studyTime ?? '' },
    { tag: TAG.AccessionNumber, vr: 'SH', value: '' },
    { tag: TAG.Modality, vr: 'CS', value: 'OT' },
    { tag: TAG.ConversionType, vr: 'CS', value: 'WSD' },
    { tag: TAG.ReferringPhysicianName, vr: 'PN', value: '' },
    { tag: TAG.PatientName, vr: 'PN', value: patient.name ?? '' },
    { tag: TAG.PatientID, vr: 'LO', value: patient.id ?? '' },
    { tag: TAG.PatientBirthDate, vr: 'DA', value: patient.birthDate ?? '' },
    { tag: TAG.PatientSex, vr: 'CS', value: patient.sex ?? '' },
    ...bodyPart,
    { tag: TAG.StudyInstanceUID, vr: 'UI', value: uid.study },
    { tag: TAG.SeriesInstanceUID, vr: 'UI', value: uid.series },
    { tag: TAG.StudyID, vr: 'SH', value: '' },
    { tag: TAG.SeriesNumber, vr: 'IS', value: '1' },
    { tag: TAG.InstanceNumber, vr: 'IS', value: '1' },
    { tag: TAG.PatientOrientation, vr: 'CS', value: '' },
    { tag: TAG.SamplesPerPixel, vr: 'US', value: image.channels },
    { tag: TAG.PhotometricInterpretation, vr: 'CS', value: image.photometric },
    ...colour,
    { tag: TAG.Rows, vr: 'US', value: image.rows },
    { tag: TAG.Columns, vr: 'US', value: image.columns },
    { tag: TAG.BitsAllocated, vr: 'US', value: image.bits },
    { tag: TAG.BitsStored, vr: 'US', value: image.bits },
    { tag: TAG.HighBit, vr: 'US', value: image.bits - 1 },
    { tag: TAG.PixelRepresentation, vr: 'US', value: 0 },
  ];
}

function wholeRange(bits: 8 | 16): readonly NewElement[] {
  const width = 2 ** bits;
  // LINEAR over 2^bits values maps 0 to black and the last one to white (PS3.3 C.11.2.1.2.1).
  return [
    { tag: TAG.WindowCenter, vr: 'DS', value: String(width / 2) },
    { tag: TAG.WindowWidth, vr: 'DS', value: String(width) },
  ];
}
