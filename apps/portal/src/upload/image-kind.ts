import type { ImageType } from '@cloister/client';

/** The largest file that the platform takes. */
export const MAX_UPLOAD = 32 * 1024 * 1024;

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const JPEG = [0xff, 0xd8, 0xff];
const DICM = [0x44, 0x49, 0x43, 0x4d];

/** The kind of an image by its first bytes; names and declared types say nothing. */
export function imageTypeOf(bytes: Uint8Array): ImageType | undefined {
  const has = (magic: readonly number[], at = 0) =>
    magic.every((byte, i) => bytes[at + i] === byte);
  if (has(PNG)) return 'image/png';
  if (has(JPEG)) return 'image/jpeg';
  return has(DICM, 128) ? 'application/dicom' : undefined;
}
