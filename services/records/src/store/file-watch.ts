import { statSync } from 'node:fs';
import { TamperedError } from '@cloister/sealing';

/**
 * Looks whether the file of an embedded database is still the one that was opened, and not shorter:
 * this process goes on with its own, and would learn of another one at the next start only.
 */
export function watchFile(file: string): () => Promise<void> {
  const opened = statSync(file);
  let { size } = opened;
  return async () => {
    const now = statSync(file, { throwIfNoEntry: false });
    if (now === undefined) throw new TamperedError('entry_missing', 'the database file');
    if (now.ino !== opened.ino || now.dev !== opened.dev)
      throw new TamperedError('entry_replaced', 'the database file');
    if (now.size < size) throw new TamperedError('log_truncated', 'the database file');
    ({ size } = now);
  };
}
