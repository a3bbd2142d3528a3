import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isJsonObject, parseJsonObject } from '@cloister/bytes';
import { AttesterError } from './attester-error.ts';

/** What is measured. */
export interface MeasureOptions {
  /** The repository's root folder. */
  readonly root: string;
  /** The service, by the name of its folder in `services/`. */
  readonly service: string;
  /** The service's folder, where that is not `services/<service>`. */
  readonly folder?: string;
  /** The program that runs it; the running Node unless told. */
  readonly node?: string;
}

/**
 * The MRENCLAVE of simulated hardware (design 2.3): SHA-256 over the sorted lines
 * `<sha256 hex>  <path>` of all non-test sources of the service and of the packages it depends on,
 * their package.json, the lockfile and the Node binary (as `node`). Lower hex. It is what a host
 * could equally well make up: it shows that a change of any line changes the identity.
 */
export async function measureService(options: MeasureOptions): Promise<string> {
  const { root, service, node = process.execPath } = options;
  const folder = options.folder ?? join(root, 'services', service);
  try {
    const files = [join(root, 'package-lock.json')];
    for (const room of await roomsOf(root, folder)) files.push(...(await sourcesOf(room)));
    const lines = await Promise.all(
      files.map(
        async (file) => `${await sha256Of(file)}  ${relative(root, file).split(sep).join('/')}`,
      ),
    );
    lines.push(`${await nodeDigest(node)}  node`);
    return createHash('sha256')
      .update(`${lines.toSorted().join('\n')}\n`)
      .digest('hex');
  } catch (error) {
    throw new AttesterError('sources_unreadable', `measurement of ${service}`, { cause: error });
  }
}

/** The service's folder and those of the workspace packages it depends on, transitively. */
async function roomsOf(root: string, folder: string): Promise<ReadonlySet<string>> {
  const byName = new Map<string, string>();
  for (const entry of await readdir(join(root, 'packages'))) {
    const room = join(root, 'packages', entry);
    const { name } = await readPackage(room);
    if (name !== undefined) byName.set(name, room);
  }
  const rooms = new Set<string>();
  const visit = async (room: string): Promise<void> => {
    if (rooms.has(room)) return;
    rooms.add(room);
    for (const name of (await readPackage(room)).dependencies) {
      const below = byName.get(name);
      if (below !== undefined) await visit(below);
    }
  };
  await visit(folder);
  return rooms;
}

async function readPackage(
  room: string,
): Promise<{ readonly name: string | undefined; readonly dependencies: readonly string[] }> {
  const json = parseJsonObject(await readFile(join(room, 'package.json'), 'utf8'), 'package.json');
  const { name, dependencies } = json;
  return {
    name: typeof name === 'string' ? name : undefined,
    dependencies: isJsonObject(dependencies) ? Object.keys(dependencies) : [],
  };
}

async function sourcesOf(room: string): Promise<string[]> {
  const entries = await readdir(join(room, 'src'), { recursive: true, withFileTypes: true });
  const sources = entries
    .filter((entry) => entry.isFile() && !/\.test\.tsx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  return [join(room, 'package.json'), ...sources];
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

/** The Node binary is large: it is read once per process. */
let known: { readonly id: string; readonly digest: Promise<string> } | undefined;

async function nodeDigest(file: string): Promise<string> {
  const { ino, size, mtimeMs } = await stat(file);
  const id = `${file}:${ino}:${size}:${mtimeMs}`;
  if (known?.id !== id) known = { id, digest: sha256Of(file) };
  return known.digest;
}
