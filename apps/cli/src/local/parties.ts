import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '@cloister/bytes';
import { parseJwk, type Jwk } from '@cloister/crypto';
import { CommandError } from '../command-error.ts';
import type { Party } from './places.ts';

/** A party's signing key (ES256): the private half signs manifests, the public one stands in them. */
export interface PartyKey {
  readonly publicJwk: Jwk;
  readonly privateKey: CryptoKey;
}

const EC = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** The keys of all parties; each is made, once, where it does not exist yet. */
export async function openParties(folder: string): Promise<Readonly<Record<Party, PartyKey>>> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const open = (party: Party) => openPartyKey(join(folder, `${party}.pkcs8`));
  const [hospital, platform, diagnostics] = await Promise.all([
    open('hospital'),
    open('platform'),
    open('diagnostics'),
  ]);
  return { hospital, platform, diagnostics };
}

/** A key pair in two files: `<file>` is the private key (PKCS #8), `<file>.jwk` the public one. */
async function openPartyKey(file: string): Promise<PartyKey> {
  if (readIfThere(`${file}.jwk`) === undefined) await createPartyKey(file);
  const jwk = parseJson(readIfThere(`${file}.jwk`) ?? '', 'party key');
  const pkcs8 = new Uint8Array(readFileSync(file));
  return {
    publicJwk: parseJwk(jwk),
    privateKey: await crypto.subtle.importKey('pkcs8', pkcs8, EC, false, ['sign']),
  };
}

async function createPartyKey(file: string): Promise<void> {
  const pair = await crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', pair.privateKey);
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey);
  writeFileSync(file, new Uint8Array(pkcs8), { mode: 0o600 });
  writeFileSync(`${file}.jwk`, JSON.stringify({ kty, crv, x, y }));
}

/** A file's text, or undefined where there is no such file; other failures are thrown. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new CommandError(`cannot read ${file}`, { cause: error });
  }
}
