import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PARTIES, type Party } from './places.ts';

/** A party's signing key (ES256): the private half signs manifests, the public one stands in them. */
export interface PartyKey {
  readonly publicJwk: JsonWebKey;
  readonly privateKey: CryptoKey;
}

const EC = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** The keys of all parties; each is made, once, where it does not exist yet. */
export async function openParties(folder: string): Promise<Readonly<Record<Party, PartyKey>>> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const [hospital, platform, diagnostics] = await Promise.all(
    PARTIES.map((party) => openPartyKey(join(folder, `${party}.jwk.json`))),
  );
  return { hospital, platform, diagnostics } as Record<Party, PartyKey>;
}

async function openPartyKey(file: string): Promise<PartyKey> {
  const stored = readIfThere(file);
  const jwk = stored === undefined ? await createJwk() : (JSON.parse(stored) as JsonWebKey);
  if (stored === undefined) writeFileSync(file, JSON.stringify(jwk), { mode: 0o600, flag: 'wx' });
  const privateKey = await crypto.subtle.importKey('jwk', jwk, EC, false, ['sign']);
  const { kty, crv, x, y } = jwk;
  return { privateKey, publicJwk: { kty, crv, x, y } as JsonWebKey };
}

async function createJwk(): Promise<JsonWebKey> {
  const pair = await crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const { kty, crv, x, y, d } = await crypto.subtle.exportKey('jwk', pair.privateKey);
  return { kty, crv, x, y, d } as JsonWebKey;
}

/** A file's text, or undefined where there is no such file; other failures are thrown. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
