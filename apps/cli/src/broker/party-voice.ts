import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, parseJsonObject } from '@cloister/bytes';
import {
  signPartyStatement,
  type PartyPurpose,
  type PartyStatement,
  type PartyVoice,
} from '@cloister/client';
import type { TrustedManifest } from '@cloister/attestation';
import { jwkThumbprint } from '@cloister/crypto';
import { CommandError } from '../command-error.ts';
import { readText } from '../manifest/manifest-draft.ts';
import { readPrivateKey } from '../manifest/party-key-file.ts';

const PURPOSES: readonly PartyPurpose[] = [
  'import-secret',
  'rotate-secret',
  'destroy-secret',
  'recovery-set',
  'reset-counter',
  'override-witness',
  'admit-machine',
];
const STATEMENT = 'statement.json';
const SUFFIX = '.jws';
const LOOK_MS = 500;

/** Where a party's keys are. */
export interface VoiceOptions {
  readonly manifest: TrustedManifest;
  readonly party: string;
  /** Files of the private keys at hand. */
  readonly keys: readonly string[];
  /** A folder in which the statement is put, and signatures by keys elsewhere are awaited. */
  readonly collect: string | undefined;
  /** Told how many keys have signed, and how many must. */
  readonly onProgress: (signed: number, needed: number) => void;
  /** Waits before the folder is looked at again. */
  readonly pause?: ((ms: number) => Promise<unknown>) | undefined;
}

/**
 * What speaks for a party: its keys at hand, and those of its people elsewhere. A key that is not the
 * party's is refused here: its signature would count for nothing.
 */
export async function openVoice(options: VoiceOptions): Promise<PartyVoice> {
  const { manifest, party, collect, onProgress } = options;
  const named = await Promise.all(
    (manifest.manifest.parties[party]?.keys ?? []).map((key) => jwkThumbprint(key)),
  );
  const signers = await Promise.all(options.keys.map((file) => readPrivateKey(file)));
  for (const [index, { thumbprint }] of signers.entries())
    if (!named.includes(thumbprint))
      throw new CommandError(`${options.keys[index] ?? ''} is not one of ${party}\u2019s keys`);
  const own = new Map(signers.map(({ thumbprint, key }) => [thumbprint, key]));
  const needed = Math.floor(named.length / 2) + 1;
  const keys = [...own.values()];
  if (collect === undefined) return { party, keys };
  return {
    party,
    keys,
    others: async (statement) => {
      const elsewhere = new Set(named.filter((thumbprint) => !own.has(thumbprint)));
      putStatement(collect, statement);
      for (let told = -1; ; await (options.pause ?? pause)(LOOK_MS)) {
        const found = signaturesIn(collect, elsewhere);
        const signed = own.size + found.length;
        if (signed !== told) onProgress(signed, needed);
        told = signed;
        if (signed >= needed) return found;
      }
    },
  };
}

/** Signs what a colleague's command put into a folder, and leaves the signature beside it. */
export async function signInFolder(
  folder: string,
  keyFile: string,
): Promise<{ readonly statement: PartyStatement; readonly file: string }> {
  const statement = readStatement(join(folder, STATEMENT));
  const { key, thumbprint } = await readPrivateKey(keyFile);
  const file = join(folder, `${thumbprint}${SUFFIX}`);
  writeFileSync(file, await signPartyStatement(statement, key));
  return { statement, file };
}

/** The statement that waits in a folder, to be read before it is signed. */
function readStatement(file: string): PartyStatement {
  const json = parseJsonObject(readText(file), STATEMENT);
  const { purpose, party, manifest } = json;
  const known = PURPOSES.find((one) => one === purpose);
  if (known === undefined || typeof party !== 'string' || typeof manifest !== 'string')
    throw new CommandError(`${file} is no statement of a party to its broker`);
  return { ...json, purpose: known, party, manifest };
}

/** A folder holds one statement: signatures for another one would be sent with it. */
function putStatement(folder: string, statement: PartyStatement): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, STATEMENT);
  if (existsSync(file)) throw new CommandError(`${file} is there already: take an empty folder`);
  writeFileSync(file, `${canonicalJson(statement)}\n`, { flag: 'wx' });
}

function signaturesIn(folder: string, thumbprints: ReadonlySet<string>): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(SUFFIX) && thumbprints.has(name.slice(0, -SUFFIX.length)))
    .map((name) => readText(join(folder, name)).trim())
    .filter((jws) => jws !== '');
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
