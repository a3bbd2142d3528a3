export {
  createWrappedKey,
  rewrapKey,
  unwrapKey,
  type NewKey,
  type NumberedKey,
  type UnwrappedKey,
} from './key-ring.ts';
export { openBytes, sealBytes } from './model-file.ts';
export { encodeObjectRef, type ObjectRef } from './object-ref.ts';
export { CHUNK_LENGTH, openBlob, sealBlob, type ByteSource } from './sealed-blob.ts';
export {
  checkAnchor,
  checkEntry,
  emptyLogHead,
  openEntryContent,
  openEntryHeader,
  sealEntry,
  type EntryHeader,
  type EntryKeys,
  type LogEntry,
  type LogHead,
} from './sealed-log.ts';
export { openObject, sealObject } from './sealed-object.ts';
export { importSealingKey, KEY_LENGTH, type Random, type SealingKey } from './sealing-key.ts';
export { TamperedError, type TamperedCode } from './tampered-error.ts';
