import { type Bytes, concatBytes, encodeUtf8, MalformedError } from '@cloister/bytes';
import {
  decodePixels,
  type DicomFile,
  ImagingError,
  isImageKind,
  parseDicom,
  uidFromRandom,
  wrapSecondaryCapture,
} from '@cloister/clinical';
import { sha256 } from '@cloister/crypto';
import { RefusedError } from '../refused-error.ts';

/** What an upload may be, by its media type. */
const KINDS: Readonly<Record<string, 'dicom' | 'png' | 'jpeg'>> = {
  'application/dicom': 'dicom',
  'image/png': 'png',
  'image/jpeg': 'jpeg',
};

/** An image that was read, and its bytes as a DICOM Part 10 file. */
export interface ReadImage {
  readonly file: DicomFile;
  readonly bytes: Bytes;
}

/**
 * Reads an upload: DICOM as it is; PNG and JPEG wrapped as Secondary Capture, without their
 * metadata. Its pixels are decoded once, so that what is stored can be shown.
 */
export async function readImage(
  upload: Bytes,
  mediaType: string | undefined,
  options: { readonly patient: string; readonly at: Date },
): Promise<ReadImage> {
  const kind = KINDS[mediaType ?? ''];
  if (kind === undefined)
    throw new RefusedError('unsupported_media_type', 'DICOM, PNG and JPEG are taken');
  if (isImageKind(upload) !== kind)
    throw new RefusedError('unusable_image', 'the content is not of the type that was named');
  try {
    const bytes = kind === 'dicom' ? upload : await wrap(upload, options);
    const file = parseDicom(bytes);
    await decodePixels(file);
    return { file, bytes };
  } catch (error) {
    throw unusable(error);
  }
}

/** An error of the imaging library as the refusal that it means; other errors pass. */
export function unusable(error: unknown): unknown {
  if (error instanceof ImagingError)
    return new RefusedError('unusable_image', `${error.code}: ${error.detail}`, { cause: error });
  if (error instanceof MalformedError)
    return new RefusedError('unusable_image', error.message, { cause: error });
  return error;
}

/** One image of one patient has the same UIDs each time: who sends it again stores nothing new. */
async function wrap(
  image: Bytes,
  { patient, at }: { readonly patient: string; readonly at: Date },
): Promise<Bytes> {
  const digest = await sha256(image);
  const uid = async (level: string): Promise<string> => {
    const name = encodeUtf8(`cloister uid\n${level}\n${patient}\n`);
    return uidFromRandom((await sha256(concatBytes(name, digest))).slice(0, 16));
  };
  const [study, series, instance] = await Promise.all([
    uid('study'),
    uid('series'),
    uid('instance'),
  ]);
  const [studyDate = '', time = ''] = at.toISOString().split('T');
  return wrapSecondaryCapture({
    image,
    uid: { study, series, instance },
    studyDate: studyDate.replaceAll('-', ''),
    studyTime: time.slice(0, 8).replaceAll(':', ''),
  });
}
