import { MalformedError } from '@cloister/bytes';
import { ImagingError } from '../imaging/imaging-error.ts';
import { inflate } from './inflate.ts';
import { createTextDecoder } from './character-set.ts';
import { DataSetReader, type DataSet } from './data-set.ts';
import { formatTag, TAG } from './tag.ts';
import {
  DEFLATED,
  REFUSED_SYNTAXES,
  TRANSFER_SYNTAXES,
  type TransferSyntax,
} from './transfer-syntax.ts';

/** What the pixel module of an image says (PS3.3 C.7.6.3), checked for contradictions. */
export interface PixelDescription {
  readonly rows: number;
  readonly columns: number;
  readonly frames: number;
  readonly samplesPerPixel: 1 | 3;
  readonly photometric: string;
  readonly planar: boolean;
  readonly bitsAllocated: 1 | 8 | 16 | 32;
  readonly bitsStored: number;
  readonly highBit: number;
  readonly signed: boolean;
}

/** A DICOM Part 10 file that was read whole; the values are views of the bytes it was read from. */
export interface DicomFile extends Partial<PixelDescription> {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly modality: string;
  readonly transferSyntaxUid: string;
  readonly transferSyntax: TransferSyntax;
  readonly patientName?: string;
  readonly patientId?: string;
  readonly patientBirthDate?: string;
  readonly patientSex?: string;
  readonly patientAge?: string;
  readonly studyDate?: string;
  readonly studyTime?: string;
  readonly accessionNumber?: string;
  readonly studyDescription?: string;
  readonly seriesDescription?: string;
  readonly bodyPart?: string;
  readonly viewPosition?: string;
  readonly burnedInAnnotation?: string;
  /** Absent where the object has no pixels (a report). */
  readonly pixels?: PixelDescription;
  readonly dataSet: DataSet;
}

/** No frame may have more samples: what a decoder may allocate. The largest radiographs have 2^25. */
export const MAX_SAMPLES: number = 1 << 26;
/** Nor all frames together; they are decoded one by one. */
const MAX_ALL_SAMPLES = 2 ** 31;
/** A file with more bytes is refused before it is read. */
export const MAX_FILE_BYTES: number = 1 << 29;
/** A deflated data set may not grow past this. */
const MAX_INFLATED = 64 << 20;
const PREAMBLE = 128;
const UID = /^(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+$/;

const malformed = (where: string): never => {
  throw new MalformedError('bad_value', `DICOM ${where}`);
};

/**
 * Reads a DICOM Part 10 file (PS3.10). Throws MalformedError where the bytes break the format,
 * ImagingError where the format is not read here. Nothing is allocated on a file's word alone.
 */
export function parseDicom(bytes: Uint8Array): DicomFile {
  if (bytes.length > MAX_FILE_BYTES) throw new MalformedError('too_large', 'DICOM file');
  if (bytes.length < PREAMBLE + 4) throw new MalformedError('truncated', 'DICOM preamble');
  checkPreamble(bytes);
  const reader = new DataSetReader(bytes, PREAMBLE + 4);
  const meta = reader.readMeta();
  const transferSyntaxUid = uid(meta, TAG.TransferSyntaxUID);
  const refusal = REFUSED_SYNTAXES.get(transferSyntaxUid);
  if (refusal !== undefined) throw new ImagingError('unsupported_transfer_syntax', refusal);
  const transferSyntax = TRANSFER_SYNTAXES.get(transferSyntaxUid);
  if (!transferSyntax) {
    throw new ImagingError('unsupported_transfer_syntax', 'the transfer syntax is not known here');
  }
  const dataSet =
    transferSyntaxUid === DEFLATED
      ? new DataSetReader(inflate(bytes.subarray(reader.position), MAX_INFLATED), 0).readDataSet(
          true,
        )
      : reader.readDataSet(transferSyntax.explicitVr);
  const pixels = describePixels(dataSet);
  return {
    sopClassUid: uid(dataSet, TAG.SOPClassUID),
    // The meta group repeats it; where they differ the data set is the object.
    sopInstanceUid: uid(dataSet, TAG.SOPInstanceUID),
    studyInstanceUid: uid(dataSet, TAG.StudyInstanceUID),
    seriesInstanceUid: uid(dataSet, TAG.SeriesInstanceUID),
    modality: string(dataSet, TAG.Modality) ?? '',
    transferSyntaxUid,
    transferSyntax,
    ...describePatientAndStudy(dataSet),
    ...(pixels && { ...pixels, pixels }),
    dataSet,
  };
}

/**
 * PS3.10 7.1 leaves the preamble to applications; a TIFF header may stand there. Anything else is
 * refused: it can make the file a program at the same time (CVE-2019-11687).
 */
function checkPreamble(bytes: Uint8Array): void {
  const preamble = bytes.subarray(0, PREAMBLE);
  const start = ascii(preamble.subarray(0, 4), false);
  const harmless = preamble.every((b) => b === 0) || start === 'II*\0' || start === 'MM\0*';
  if (!harmless) malformed('preamble');
  if (ascii(bytes.subarray(PREAMBLE, PREAMBLE + 4), false) !== 'DICM') malformed('prefix');
}

function describePatientAndStudy(dataSet: DataSet): Partial<DicomFile> {
  const terms = (string(dataSet, TAG.SpecificCharacterSet) ?? '').split('\\');
  const decode = createTextDecoder(terms);
  const found: Record<string, string> = {};
  const put = (name: keyof DicomFile, tag: number, isText = false): void => {
    const element = dataSet.get(tag);
    if (!element) return;
    const value = (isText ? decode(element.value) : ascii(element.value)).trim();
    if (value !== '') found[name] = value;
  };
  put('patientName', TAG.PatientName, true);
  put('patientId', TAG.PatientID, true);
  put('patientBirthDate', TAG.PatientBirthDate);
  put('patientSex', TAG.PatientSex);
  put('patientAge', TAG.PatientAge);
  put('studyDate', TAG.StudyDate);
  put('studyTime', TAG.StudyTime);
  put('accessionNumber', TAG.AccessionNumber, true);
  put('studyDescription', TAG.StudyDescription, true);
  put('seriesDescription', TAG.SeriesDescription, true);
  put('bodyPart', TAG.BodyPartExamined);
  put('viewPosition', TAG.ViewPosition);
  put('burnedInAnnotation', TAG.BurnedInAnnotation);
  return found;
}

function describePixels(dataSet: DataSet): PixelDescription | undefined {
  if (!dataSet.has(TAG.PixelData)) return undefined;
  const rows = u16(dataSet, TAG.Rows);
  const columns = u16(dataSet, TAG.Columns);
  const samplesPerPixel = u16(dataSet, TAG.SamplesPerPixel, 1);
  const bitsAllocated = u16(dataSet, TAG.BitsAllocated);
  const bitsStored = u16(dataSet, TAG.BitsStored, bitsAllocated);
  const highBit = u16(dataSet, TAG.HighBit, bitsStored - 1);
  const representation = u16(dataSet, TAG.PixelRepresentation, 0);
  const planarConfiguration = u16(dataSet, TAG.PlanarConfiguration, 0);
  const frames = integer(dataSet, TAG.NumberOfFrames) ?? 1;
  const photometric = string(dataSet, TAG.PhotometricInterpretation) ?? '';
  if (rows < 1 || columns < 1) malformed('rows and columns');
  if (frames < 1) malformed('number of frames');
  if (samplesPerPixel !== 1 && samplesPerPixel !== 3) return malformed('samples per pixel');
  if (bitsAllocated !== 1 && bitsAllocated !== 8 && bitsAllocated !== 16 && bitsAllocated !== 32) {
    return malformed('bits allocated');
  }
  if (bitsStored < 1 || bitsStored > bitsAllocated) malformed('bits stored');
  if (highBit < bitsStored - 1 || highBit >= bitsAllocated) malformed('high bit');
  if (representation > 1) malformed('pixel representation');
  if (planarConfiguration > 1) malformed('planar configuration');
  const samples = rows * columns * samplesPerPixel;
  if (samples > MAX_SAMPLES || samples * frames > MAX_ALL_SAMPLES) {
    throw new MalformedError('too_large', 'DICOM image');
  }
  const planar = planarConfiguration === 1 && samplesPerPixel === 3;
  const signed = representation === 1;
  const size = { rows, columns, frames, samplesPerPixel, bitsAllocated, bitsStored } as const;
  return { ...size, highBit, photometric, planar, signed };
}

/** A string value by tag, without padding; for attributes that hold ASCII by definition. */
export function string(dataSet: DataSet, tag: number): string | undefined {
  const element = dataSet.get(tag);
  return element && ascii(element.value).trim();
}

/** The numbers of a DS or IS attribute (PS3.5 6.2); undefined where it is absent or empty. */
export function decimals(dataSet: DataSet, tag: number): readonly number[] | undefined {
  const text = string(dataSet, tag);
  if (text === undefined || text === '') return undefined;
  return text.split('\\').map((part) => {
    const trimmed = part.trim();
    if (!/^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(trimmed)) {
      return malformed(`number ${formatTag(tag)}`);
    }
    return Number(trimmed);
  });
}

function integer(dataSet: DataSet, tag: number): number | undefined {
  const values = decimals(dataSet, tag);
  if (!values) return undefined;
  const [value] = values;
  if (values.length !== 1 || value === undefined || !Number.isSafeInteger(value)) {
    return malformed(`integer ${formatTag(tag)}`);
  }
  return value;
}

function u16(dataSet: DataSet, tag: number, absent?: number): number {
  const value = dataSet.get(tag)?.value;
  if (!value || (value.length === 0 && absent !== undefined)) {
    return absent ?? malformed(`${formatTag(tag)} missing`);
  }
  if (value.length !== 2) return malformed(formatTag(tag));
  return new DataView(value.buffer, value.byteOffset, 2).getUint16(0, true);
}

function uid(dataSet: DataSet, tag: number): string {
  const value = string(dataSet, tag);
  if (value === undefined || value.length > 64 || !UID.test(value)) {
    return malformed(`UID ${formatTag(tag)}`);
  }
  return value;
}

function ascii(value: Uint8Array, trim = true): string {
  let text = '';
  for (const byte of value.subarray(0, 1 << 16)) text += String.fromCharCode(byte);
  return trim ? text.replace(/[\0 ]+$/, '') : text;
}
