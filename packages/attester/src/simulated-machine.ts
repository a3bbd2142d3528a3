import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createSimulatedPlatform,
  exportPlatform,
  importPlatform,
  type SimulatedPlatform,
} from '@cloister/attestation';
import {
  decodeBase64url,
  encodeBase64url,
  encodeUtf8,
  parseJsonObject,
  type Bytes,
} from '@cloister/bytes';
import { AttesterError } from './attester-error.ts';
import { createFile, isCode } from './files.ts';

/**
 * The simulated platform of this machine, with what a real processor also keeps to itself: the
 * root of its sealing keys.
 */
export interface SimulatedMachine extends SimulatedPlatform {
  /** 32 random bytes: what EGETKEY derives sealing keys from on real hardware. */
  readonly sealingRoot: Bytes;
}

/**
 * Opens the simulated platform in a folder; the first process on the machine makes it, and all
 * later ones get the same (design 2.3). The file is the owner's alone, is never committed, and
 * proves nothing against whoever can read it.
 */
export async function openSimulatedPlatform(folder: string): Promise<SimulatedMachine> {
  const file = join(folder, 'platform.json');
  const found = await load(file);
  if (found !== undefined) return found;
  const platform = await createSimulatedPlatform({ at: new Date(), random });
  const content = {
    platform: await exportPlatform(platform),
    sealingRoot: encodeBase64url(random(32)),
  };
  await createFile(file, encodeUtf8(JSON.stringify(content)));
  const made = await load(file);
  if (made === undefined) throw new AttesterError('platform_unreadable', 'simulated platform');
  return made;
}

async function load(file: string): Promise<SimulatedMachine | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw new AttesterError('platform_unreadable', 'simulated platform', { cause: error });
  }
  try {
    const { platform, sealingRoot } = parseJsonObject(text, 'simulated platform');
    if (platform === undefined || typeof sealingRoot !== 'string')
      throw new AttesterError('platform_unreadable', 'simulated platform: members');
    const root = decodeBase64url(sealingRoot, 'simulated platform: sealing root');
    return { ...(await importPlatform(platform)), sealingRoot: root };
  } catch (error) {
    throw new AttesterError('platform_unreadable', 'simulated platform', { cause: error });
  }
}

function random(length: number): Bytes {
  return new Uint8Array(randomBytes(length));
}
