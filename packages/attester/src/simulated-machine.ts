import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createSimulatedPlatform,
  exportPlatform,
  importPlatform,
  platformCollateral,
  renewCollateral,
  type SimulatedPlatform,
} from '@cloister/attestation';
import {
  decodeBase64url,
  encodeBase64url,
  encodeUtf8,
  isJsonObject,
  parseJsonObject,
  type Bytes,
} from '@cloister/bytes';
import { AttesterError } from './attester-error.ts';
import { createFile, isCode, replaceFile } from './files.ts';

/**
 * The simulated platform of this machine, with what a real processor also keeps to itself: the
 * root of its sealing keys.
 */
export interface SimulatedMachine extends SimulatedPlatform {
  /** 32 random bytes: what EGETKEY derives sealing keys from on real hardware. */
  readonly sealingRoot: Bytes;
}

/** Collateral that ends sooner than this is made anew when the platform is opened. */
const RENEW_BEFORE = 30 * 86_400_000;

/**
 * Opens the simulated platform in a folder; the first process on the machine makes it, and all
 * later ones get the same (design 2.3), with collateral that is good for a month at least. The
 * file is the owner's alone, is never committed, and proves nothing against whoever can read it.
 */
export async function openSimulatedPlatform(
  folder: string,
  now: () => Date = () => new Date(),
): Promise<SimulatedMachine> {
  const file = join(folder, 'platform.json');
  const found = await load(file);
  if (found !== undefined) return renew(file, found, now());
  const platform = await createSimulatedPlatform({ at: now(), random });
  await createFile(file, await encode({ ...platform, sealingRoot: random(32) }));
  const made = await load(file);
  if (made === undefined) throw new AttesterError('platform_unreadable', 'simulated platform');
  return made;
}

/** Certificates, keys and the sealing root stay: only the dated statements are new. */
async function renew(file: string, machine: SimulatedMachine, at: Date): Promise<SimulatedMachine> {
  if (endOf(machine).getTime() - at.getTime() > RENEW_BEFORE) return machine;
  const { sealingRoot } = machine;
  const renewed = { ...(await renewCollateral(machine, { at })), sealingRoot };
  await replaceFile(file, await encode(renewed));
  return renewed;
}

function endOf(machine: SimulatedMachine): Date {
  const { tcbInfo } = parseJsonObject(platformCollateral(machine).tcbInfo, 'TCB info');
  const nextUpdate = isJsonObject(tcbInfo) ? tcbInfo['nextUpdate'] : undefined;
  return new Date(typeof nextUpdate === 'string' ? nextUpdate : 0);
}

async function encode(machine: SimulatedMachine): Promise<Bytes> {
  const content = {
    platform: await exportPlatform(machine),
    sealingRoot: encodeBase64url(machine.sealingRoot),
  };
  return encodeUtf8(JSON.stringify(content));
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
