import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DocumentStore } from '@cloister/attestation';
import { errorCode } from '@cloister/service';

/** Documents in a folder, each in a file named by the digest of its key: AMD's are rationed. */
export function createFolderStore(folder: string): DocumentStore {
  const fileOf = (key: string): string =>
    join(folder, `${createHash('sha256').update(key).digest('hex')}.json`);
  return {
    read: async (key) => {
      try {
        return await readFile(fileOf(key), 'utf8');
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return undefined;
        throw error;
      }
    },
    write: async (key, text) => {
      await mkdir(folder, { recursive: true });
      const file = fileOf(key);
      await writeFile(`${file}.${process.pid}`, text);
      await rename(`${file}.${process.pid}`, file);
    },
  };
}
