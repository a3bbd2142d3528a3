import { MalformedError } from '@cloister/bytes';
import { parseDicom } from '@cloister/clinical';
import type { ImageType, PatientView } from '@cloister/client';
import { imageTypeOf, MAX_UPLOAD } from './image-kind.ts';
import { mismatchesOf, type Mismatch } from './mismatch.ts';

/** Why a file is not sent (keys of the texts under `upload.errors`). */
export type UploadRefusal = 'notAnImage' | 'tooLarge' | 'empty' | 'malformed';

/** A file that may be sent, or why it may not. */
export type PreparedUpload =
  | { readonly ok: true; readonly type: ImageType; readonly mismatches: readonly Mismatch[] }
  | { readonly ok: false; readonly refusal: UploadRefusal };

/** Looks at a file before anything is sent: its kind, its size, whom it shows. */
export function prepareUpload(bytes: Uint8Array, patient: PatientView): PreparedUpload {
  if (bytes.length === 0) return { ok: false, refusal: 'empty' };
  if (bytes.length > MAX_UPLOAD) return { ok: false, refusal: 'tooLarge' };
  const type = imageTypeOf(bytes);
  if (type === undefined) return { ok: false, refusal: 'notAnImage' };
  if (type !== 'application/dicom') return { ok: true, type, mismatches: [] };
  try {
    return { ok: true, type, mismatches: mismatchesOf(parseDicom(bytes), patient) };
  } catch (error) {
    if (error instanceof MalformedError || isImagingError(error))
      return { ok: false, refusal: 'malformed' };
    throw error;
  }
}

function isImagingError(error: unknown): boolean {
  return error instanceof Error && error.name === 'ImagingError';
}
