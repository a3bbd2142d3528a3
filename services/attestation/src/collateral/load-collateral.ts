import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { parseBundle, type BundleEntry } from '@cloister/attestation';
import { asBytes, decodeUtf8, MalformedError } from '@cloister/bytes';
import { ConfigError, errorCode } from '@cloister/service';
import type { CollateralSupply } from './collateral-store.ts';
import {
  isQeIdentity,
  isTcbInfo,
  readJsonFile,
  readLooseDocuments,
  type JsonFile,
  type NamedFile,
} from './loose-documents.ts';

/** Kinds of files by their endings; others are passed over. */
const KINDS: Readonly<Record<string, 'json' | 'crl' | 'chain'>> = {
  '.json': 'json',
  '.der': 'crl',
  '.crl': 'crl',
  '.pem': 'chain',
};

/**
 * Collateral from a file or a folder. A `.json` file is a bundle, one `endorsements` object (design
 * 3.7), or a TCB info or QE identity as Intel serves it; those go together with CRLs (`.der`,
 * `.crl`) and the chains of their signers (`.pem`).
 */
export async function loadCollateral(
  path: string,
): Promise<Pick<CollateralSupply, 'entries' | 'loose'>> {
  try {
    const files = await readFiles(path);
    const entries: BundleEntry[] = [];
    const loose: JsonFile[] = [];
    for (const { bytes } of filesOf(files, 'json')) {
      const file = readJsonFile(decodeUtf8(bytes, 'collateral'));
      if (isTcbInfo(file.json) || isQeIdentity(file.json)) loose.push(file);
      else entries.push(...parseBundle(file.text));
    }
    if (loose.length === 0) return { entries };
    const chains = filesOf(files, 'chain').map(({ bytes }) => decodeUtf8(bytes, 'chain'));
    return {
      entries,
      loose: await readLooseDocuments(loose, filesOf(files, 'crl'), chains),
    };
  } catch (error) {
    const why = error instanceof MalformedError ? error.where : errorCode(error);
    throw new ConfigError(`collateral: ${why}`, { cause: error });
  }
}

async function readFiles(path: string): Promise<NamedFile[]> {
  const names = (await stat(path)).isDirectory() ? await namesIn(path) : [path];
  return Promise.all(names.map(async (name) => ({ name, bytes: asBytes(await readFile(name)) })));
}

/** The files of a folder; of one that has none, those of its folder `collateral`. */
async function namesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile() && KINDS[extname(entry.name)] !== undefined)
    .map((entry) => join(folder, entry.name))
    .toSorted();
  const inner = entries.find((entry) => entry.isDirectory() && entry.name === 'collateral');
  return names.length > 0 || inner === undefined ? names : namesIn(join(folder, inner.name));
}

function filesOf(files: readonly NamedFile[], kind: 'json' | 'crl' | 'chain'): NamedFile[] {
  // A file that was named itself is read as JSON whatever its name.
  return files.filter(({ name }) => (KINDS[extname(name)] ?? 'json') === kind);
}
