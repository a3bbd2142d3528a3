import { type JsonObject, MalformedError } from '@cloister/bytes';
import { RefusedError } from '../refused-error.ts';
import type { ImageVault, StoredBlob } from '../store/image-vault.ts';
import type { Ledger } from '../store/ledger.ts';

/** Under which type the log says which blob a study's image is; the id is the study's. */
export const IMAGE_TYPE = 'Image';

/** An image of a study, opened. */
export interface OpenedImage {
  readonly patient: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What the log keeps of an image. */
export function imageContent(blob: StoredBlob): JsonObject {
  return { ...blob };
}

/** The image of a study; RefusedError `not_found` for no such study, TamperedError for a changed one. */
export async function openImage(
  ledger: Ledger,
  vault: ImageVault,
  study: string,
): Promise<OpenedImage> {
  const patient = ledger.directory.find('ImagingStudy', study)?.patient;
  const content = patient === undefined ? undefined : await ledger.read(IMAGE_TYPE, study);
  if (patient === undefined || content === undefined) throw new RefusedError('not_found');
  const { id, digest } = content;
  if (typeof id !== 'string' || typeof digest !== 'string')
    throw new MalformedError('bad_value', 'stored image');
  return { patient, bytes: await vault.get(patient, { id, digest }) };
}
