import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import {
  manifestId,
  parseManifest,
  parseManifestFile,
  verifyManifest,
  type ManifestFile,
} from '@cloister/attestation';
import { isJsonObject, MalformedError, parseJsonObject, type JsonObject } from '@cloister/bytes';
import { CommandError } from '../command-error.ts';

/** Reads a manifest file; CommandError names the JSON pointer of what is wrong. */
export function readManifestFile(file: string): ManifestFile {
  return explain(file, () => parseManifestFile(readText(file)));
}

/** Writes a manifest file: readers see the old one or the whole new one. */
export function writeManifestFile(file: string, { manifest, signatures }: ManifestFile): void {
  const draft = `${file}.${randomUUID()}`;
  writeFileSync(draft, `${JSON.stringify({ manifest, signatures }, null, 2)}\n`);
  renameSync(draft, file);
}

/** What came of a change. */
export interface Revision {
  readonly id: string;
  readonly serial: number;
  /** Whether the change began the manifest that follows: the one before is in force. */
  readonly follows: boolean;
}

/**
 * Changes a manifest. One whose quorum has signed is not changed: the change begins its successor,
 * with the next serial, which names it. Either way nobody has signed what comes of it.
 */
export async function reviseManifest(
  file: string,
  change: (json: JsonObject) => JsonObject,
): Promise<Revision> {
  const { manifest, signatures } = readManifestFile(file);
  const before = await manifestId(manifest);
  const agreed = (await verifyManifest(manifest, signatures, { pinned: undefined })).ok;
  const json = parseJsonObject(JSON.stringify(manifest), file);
  const next = agreed ? { ...json, serial: manifest.serial + 1, previous: before } : json;
  const changed = checkDraft(file, change(next));
  const id = await manifestId(changed);
  const same = id === before || (agreed && isOnlyNumbered(json, change(json)));
  if (same) return { id: before, serial: manifest.serial, follows: false };
  writeManifestFile(file, { manifest: changed, signatures: {} });
  return { id, serial: changed.serial, follows: agreed };
}

/** A draft as a manifest; CommandError names the JSON pointer of what is wrong. */
export function checkDraft(file: string, json: JsonObject): ManifestFile['manifest'] {
  return explain(file, () => parseManifest(JSON.stringify(json)));
}

/** An object member, which may be absent. */
export function objectAt(json: JsonObject, name: string): JsonObject {
  const value = json[name];
  return isJsonObject(value) ? value : {};
}

/** A file's text; CommandError where it cannot be read. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read ${file}`, { cause: error });
  }
}

function isOnlyNumbered(before: JsonObject, after: JsonObject): boolean {
  return JSON.stringify(before) === JSON.stringify(after);
}

function explain<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new CommandError(`${file} is no manifest: ${error.message}`, { cause: error });
  }
}
