/** Which kind of image the bytes claim to be, by their first bytes only; undefined for any other. */
export function isImageKind(bytes: Uint8Array): 'dicom' | 'png' | 'jpeg' | undefined {
  if (startsWith(bytes, 0, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return 'png';
  if (startsWith(bytes, 0, [0xff, 0xd8, 0xff])) return 'jpeg';
  if (startsWith(bytes, 128, [0x44, 0x49, 0x43, 0x4d])) return 'dicom';
  return undefined;
}

function startsWith(bytes: Uint8Array, at: number, magic: readonly number[]): boolean {
  return magic.every((byte, index) => bytes[at + index] === byte);
}
