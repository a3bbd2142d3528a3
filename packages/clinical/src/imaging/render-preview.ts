import type { Bytes } from '@cloister/bytes';
import type { DicomFile } from '../dicom/dicom-file.ts';
import { decodePixels } from './decode-pixels.ts';
import { toDisplay } from './grey.ts';
import { encodePng } from './png.ts';

/**
 * A frame as an 8-bit PNG for the screen: grey through the file's window (its whole range where it
 * has none), colour as it is. Carries no text and no metadata.
 */
export async function renderPreview(
  file: DicomFile,
  options: { readonly frame?: number } = {},
): Promise<Bytes> {
  const image = toDisplay(await decodePixels(file, options), 'full-range');
  return encodePng(Uint8Array.from(image.values, Math.round), image);
}
