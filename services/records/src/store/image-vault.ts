import { type Bytes, concatBytes, encodeHex } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import { openBlob, type Random, sealBlob, TamperedError } from '@cloister/sealing';
import { newId } from '../new-id.ts';
import type { BlobStore } from './blob-folder.ts';
import type { Ledger } from './ledger.ts';

/** A blob that is in the store and not yet in the log. */
export interface StoredBlob {
  readonly id: string;
  /** SHA-256 of the plaintext, lower hex: stands in the log, so no other blob can take its place. */
  readonly digest: string;
  readonly bytes: number;
}

/** Images, sealed under their patient's key. */
export interface ImageVault {
  put(patient: string, bytes: Bytes): Promise<StoredBlob>;
  /** All of it, or TamperedError. */
  get(patient: string, blob: Pick<StoredBlob, 'id' | 'digest'>): Promise<Bytes>;
  /** Takes back a blob whose commit failed. */
  remove(id: string): Promise<void>;
}

/** A vault over a folder (later: Azure Blob), with the keys of the ledger. */
export function createImageVault(options: {
  readonly blobs: BlobStore;
  readonly ledger: Ledger;
  readonly random: Random;
}): ImageVault {
  const { blobs, ledger, random } = options;
  const refOf = (id: string) => ({ tenant: ledger.tenant, type: 'image', id, version: 1 });
  return {
    async put(patient, bytes) {
      const id = newId(random);
      const key = await ledger.patientKey(patient);
      await blobs.write(id, sealBlob(key, refOf(id), [bytes], random));
      return { id, digest: encodeHex(await sha256(bytes)), bytes: bytes.length };
    },
    async get(patient, { id, digest }) {
      const key = await ledger.patientKey(patient);
      const parts: Bytes[] = [];
      for await (const part of openBlob(key, refOf(id), blobs.read(id))) parts.push(part);
      const bytes = concatBytes(...parts);
      if (encodeHex(await sha256(bytes)) !== digest)
        throw new TamperedError('entry_replaced', 'blob');
      return bytes;
    },
    remove: (id) => blobs.remove(id),
  };
}
