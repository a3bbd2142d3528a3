import { type Bytes, concatBytes } from '@cloister/bytes';
import { openBlob, sealBlob } from './sealed-blob.ts';
import { importSealingKey, type Random } from './sealing-key.ts';

/**
 * Seals a file that is used whole, such as a model: the format of `sealBlob` under a key of 32
 * bytes. `info` says what it is (`model/cxr-pneumonia-cam/1`) and must be the same to open it.
 */
export async function sealBytes(
  key: Bytes,
  bytes: Uint8Array,
  info: string,
  random: Random,
): Promise<Bytes> {
  const parts: Bytes[] = [];
  const sealingKey = await importSealingKey('file', key);
  for await (const part of sealBlob(sealingKey, refOf(info), [bytes], random)) parts.push(part);
  return concatBytes(...parts);
}

/** Opens what `sealBytes` sealed, or throws TamperedError: all of it is authentic, or none is given. */
export async function openBytes(key: Bytes, sealed: Uint8Array, info: string): Promise<Bytes> {
  const parts: Bytes[] = [];
  const sealingKey = await importSealingKey('file', key);
  for await (const part of openBlob(sealingKey, refOf(info), [sealed])) parts.push(part);
  return concatBytes(...parts);
}

const refOf = (info: string) => ({ tenant: 'file', type: 'file', id: info, version: 1 });
