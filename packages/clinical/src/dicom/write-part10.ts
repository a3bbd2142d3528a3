import { concatBytes, encodeUtf8, Writer, type Bytes } from '@cloister/bytes';
import { TAG } from './tag.ts';

/** An attribute to write: text is UTF-8, padded as its VR asks. */
export interface NewElement {
  readonly tag: number;
  readonly vr: string;
  readonly value: string | number | Uint8Array;
}

/** Cloister as the writer of a file (PS3.10 7.1): a UID of a random UUID, made once. */
const IMPLEMENTATION = {
  uid: '2.25.256927670098914447053995455230797609981',
  version: 'CLOISTER_1',
};
const LONG_VRS = new Set(['OB', 'OW', 'SQ', 'UN', 'UT']);

/** Writes a Part 10 file in an explicit little-endian syntax; elements are put in order of tags. */
export function writePart10(options: {
  readonly transferSyntaxUid: string;
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly elements: readonly NewElement[];
  /** Native pixel bytes, or one compressed frame to encapsulate. */
  readonly pixels:
    | { readonly native: Uint8Array; readonly vr: 'OB' | 'OW' }
    | { readonly frame: Uint8Array };
}): Bytes {
  const meta = encodeElements([
    { tag: TAG.FileMetaInformationVersion, vr: 'OB', value: Uint8Array.of(0, 1) },
    { tag: TAG.MediaStorageSOPClassUID, vr: 'UI', value: options.sopClassUid },
    { tag: TAG.MediaStorageSOPInstanceUID, vr: 'UI', value: options.sopInstanceUid },
    { tag: TAG.TransferSyntaxUID, vr: 'UI', value: options.transferSyntaxUid },
    { tag: TAG.ImplementationClassUID, vr: 'UI', value: IMPLEMENTATION.uid },
    { tag: TAG.ImplementationVersionName, vr: 'SH', value: IMPLEMENTATION.version },
  ]);
  const length = new Writer().u32le(meta.length).finish();
  const body = [
    { tag: TAG.SOPClassUID, vr: 'UI', value: options.sopClassUid },
    { tag: TAG.SOPInstanceUID, vr: 'UI', value: options.sopInstanceUid },
    ...options.elements,
  ];
  return concatBytes(
    new Uint8Array(128),
    encodeUtf8('DICM'),
    encodeElements([{ tag: TAG.FileMetaInformationGroupLength, vr: 'UL', value: length }]),
    meta,
    encodeElements(body),
    'native' in options.pixels
      ? encodeElements([
          { tag: TAG.PixelData, vr: options.pixels.vr, value: options.pixels.native },
        ])
      : encapsulate(options.pixels.frame),
  );
}

function encodeElements(elements: readonly NewElement[]): Bytes {
  return concatBytes(...elements.toSorted((a, b) => a.tag - b.tag).map(encodeElement));
}

function encodeElement({ tag, vr, value }: NewElement): Bytes {
  const raw =
    typeof value === 'number'
      ? new Writer().u16le(value).finish()
      : typeof value === 'string'
        ? encodeUtf8(value)
        : value;
  // PS3.5 6.2: UIDs and bytes are padded with NUL, text with a space.
  const pad = vr === 'UI' || vr === 'OB' ? 0 : 0x20;
  const padded = raw.length % 2 === 0 ? raw : concatBytes(raw, Uint8Array.of(pad));
  const writer = writeTag(new Writer(), tag).bytes(encodeUtf8(vr));
  if (LONG_VRS.has(vr)) writer.u16le(0).u32le(padded.length);
  else writer.u16le(padded.length);
  return writer.bytes(padded).finish();
}

/** PS3.5 A.4: an empty offset table, one fragment, the delimiter. */
function encapsulate(frame: Uint8Array): Bytes {
  const writer = writeTag(new Writer(), TAG.PixelData).bytes(encodeUtf8('OB'));
  writer.u16le(0).u32le(0xffffffff);
  writeTag(writer, TAG.Item).u32le(0);
  writeTag(writer, TAG.Item).u32le(frame.length + (frame.length % 2));
  writer.bytes(frame);
  if (frame.length % 2 === 1) writer.u8(0);
  return writeTag(writer, TAG.SequenceDelimitation).u32le(0).finish();
}

function writeTag(writer: Writer, tag: number): Writer {
  return writer.u16le(tag >>> 16).u16le(tag & 0xffff);
}
