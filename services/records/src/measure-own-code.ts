import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { measureService } from '@cloister/attester';
import { ConfigError } from '@cloister/service';

/** The measurement of the code that runs here, as the manifest names it (design 2.3). */
export function measureOwnCode(service: string): Promise<string> {
  const folder = fileURLToPath(new URL('..', import.meta.url));
  return measureService({ root: rootAbove(folder), service, folder });
}

/** The repository's root: the nearest folder above with a lockfile. */
function rootAbove(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'package-lock.json'))) return at;
    if (dirname(at) === at) throw new ConfigError('sources: no lockfile above this service');
  }
}
