import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder with inputs that came from elsewhere; it stands beside the project, or is absent. */
const SHARED = new URL('../../shared/', import.meta.url);

/** Absolute path of a file in the shared folder. */
export function shared(path: string): string {
  return fileURLToPath(new URL(path, SHARED));
}

/** What `skip` of a test takes: a reason where the shared folder is absent, else false. */
export const sharedMissing: string | false = existsSync(SHARED)
  ? false
  : 'shared inputs are absent';
