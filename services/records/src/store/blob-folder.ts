import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ByteSource, TamperedError } from '@cloister/sealing';
import { errorCode, StoreError } from '@cloister/service';

/** Where sealed blobs are kept, under names that say nothing. */
export interface BlobStore {
  /** Streams a sealed blob in; durable when it resolves. Leaves nothing behind when it fails. */
  write(id: string, sealed: ByteSource): Promise<void>;
  /** Streams a sealed blob out; TamperedError `entry_missing` where it is gone. */
  read(id: string): AsyncIterable<Uint8Array>;
  remove(id: string): Promise<void>;
}

/** Blobs as files in 256 folders; written beside, synced, renamed into place. */
export function openBlobFolder(folder: string): BlobStore {
  const placeOf = (id: string): { folder: string; file: string } => {
    if (!/^[0-9a-f-]{36}$/.test(id)) throw new RangeError('a blob is named by a UUID');
    const sub = join(folder, id.slice(0, 2));
    return { folder: sub, file: join(sub, id) };
  };
  return {
    async write(id, sealed) {
      const place = placeOf(id);
      const temporary = `${place.file}.${randomUUID()}.part`;
      try {
        await mkdir(place.folder, { recursive: true, mode: 0o700 });
        const file = await open(temporary, 'wx', 0o600);
        try {
          for await (const part of sealed) await file.writeFile(part);
          await file.sync();
          await rename(temporary, place.file);
        } catch (error) {
          await rm(temporary, { force: true });
          throw error;
        } finally {
          await file.close();
        }
        await syncFolder(place.folder);
      } catch (error) {
        throw storeError(error);
      }
    },
    async *read(id) {
      const stream: AsyncIterable<Uint8Array> = createReadStream(placeOf(id).file, {
        highWaterMark: 1 << 20,
      });
      try {
        yield* stream;
      } catch (error) {
        if (errorCode(error) === 'ENOENT')
          throw new TamperedError('entry_missing', 'blob', { cause: error });
        throw storeError(error);
      }
    },
    remove: (id) => rm(placeOf(id).file, { force: true }),
  };
}

/** A new name in a folder is only durable once the folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What a file system says of itself becomes a StoreError; everything else passes. */
function storeError(error: unknown): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error;
  const full = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(errorCode(error));
  return new StoreError(full ? 'full' : 'unavailable', { cause: error });
}
