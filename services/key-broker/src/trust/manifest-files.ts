import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseManifestFile, type ManifestFile } from '@cloister/attestation';
import type { Broker } from '../broker.ts';
import type { Config } from '../config.ts';

/** The manifest files that the host gave, in the order of their serials. */
export async function readManifestFiles({
  manifest,
  manifests,
}: Pick<Config, 'manifest' | 'manifests'>): Promise<readonly ManifestFile[]> {
  const paths = [
    ...(manifests === undefined ? [] : globSync(join(manifests, '*.json'))),
    ...(manifest === undefined ? [] : [manifest]),
  ];
  const files = await Promise.all(
    paths.map(async (path) => parseManifestFile(await readFile(path, 'utf8'))),
  );
  return files.toSorted((a, b) => a.manifest.serial - b.manifest.serial);
}

/** Takes those in that follow; one that is refused changes nothing, and does not stop the broker. */
export async function takeManifests(
  broker: Broker,
  files: readonly ManifestFile[],
  onRefused: (error: unknown) => void,
): Promise<void> {
  for (const file of files) {
    if (broker.opened === undefined) return;
    if (file.manifest.serial <= (broker.trust?.manifest.serial ?? 0)) continue;
    try {
      await broker.activate(file);
    } catch (error) {
      onRefused(error);
    }
  }
}
