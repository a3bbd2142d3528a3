import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from '../command-error.ts';
import { readIfThere } from './parties.ts';
import { ROOT, type Places } from './places.ts';

/**
 * Builds the portal into `places.portal`, unless what stands there was built from the same sources
 * and the same pinned keys. Returns whether it had to build.
 */
export async function buildPortal(places: Places): Promise<boolean> {
  const stamp = join(places.folder, 'portal.stamp');
  const digest = digestSources(places.portalPins);
  if (existsSync(join(places.portal, 'index.html')) && readIfThere(stamp) === digest) return false;
  rmSync(stamp, { force: true });
  await runVite(places);
  writeFileSync(stamp, digest);
  return true;
}

/** SHA-256 over all that the build reads: portal, pure packages, lockfile, pinned keys. */
function digestSources(pins: string): string {
  const files = globSync(['apps/portal/**/*', 'packages/*/src/**/*', 'package-lock.json'], {
    cwd: ROOT,
    withFileTypes: true,
    exclude: (entry) => entry.name === 'node_modules' || entry.name === 'dist',
  })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
  const hash = createHash('sha256');
  for (const file of [...files, pins]) hash.update(file).update(readFileSync(file));
  return hash.digest('hex');
}

async function runVite(places: Places): Promise<void> {
  const vite = join(ROOT, 'node_modules', 'vite', 'bin', 'vite.js');
  const args = [vite, 'build', join(ROOT, 'apps', 'portal'), '--outDir', places.portal];
  const child = spawn(process.execPath, [...args, '--emptyOutDir', '--logLevel', 'warn'], {
    cwd: join(ROOT, 'apps', 'portal'),
    env: { ...process.env, CLOISTER_PORTAL_PINS: places.portalPins },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => output.push(part));
  child.stderr.on('data', (part: Buffer) => output.push(part));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  if (code !== 0) {
    throw new CommandError(`the portal does not build:\n${Buffer.concat(output).toString('utf8')}`);
  }
}
