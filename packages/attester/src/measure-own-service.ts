import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AttesterError } from './attester-error.ts';
import { measureService } from './measure-service.ts';

/**
 * The measurement (`measureService`) of the service that runs, of which `module` is one file
 * (`import.meta.url`). Its own folder is measured, not `services/<service>`: a changed copy that
 * runs from elsewhere below the root must not show the measurement of what it was copied from.
 */
export async function measureOwnService(module: string, service: string): Promise<string> {
  const folder = folderAbove(fileURLToPath(module), 'package.json');
  return measureService({ root: folderAbove(folder, 'package-lock.json'), service, folder });
}

/** The nearest folder above that has such a file. */
function folderAbove(place: string, file: string): string {
  const folder = dirname(place);
  if (existsSync(join(folder, file))) return folder;
  if (folder === place) throw new AttesterError('sources_unreadable', `no ${file} above`);
  return folderAbove(folder, file);
}
