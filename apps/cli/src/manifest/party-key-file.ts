import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { MalformedError, parseJson } from '@cloister/bytes';
import { jwkThumbprint, parseJwk, type Jwk } from '@cloister/crypto';
import { CommandError } from '../command-error.ts';
import { readText } from './manifest-draft.ts';

const EC = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** Makes a party's key: the private half (PKCS #8, its owner's alone), and beside it the public one. */
export async function makePartyKey(file: string): Promise<Jwk> {
  if (existsSync(file) || existsSync(`${file}.jwk`))
    throw new CommandError(`${file} is there already: a key is not overwritten`);
  const pair = await crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey));
  writeFileSync(file, pkcs8, { mode: 0o600, flag: 'wx' });
  const jwk = await publicHalf(pair.publicKey);
  writeFileSync(`${file}.jwk`, `${JSON.stringify(jwk)}\n`, { flag: 'wx' });
  return jwk;
}

/** Reads a public key: a file with a JWK, or what `--prepare` of a broker printed. */
export function readPublicKey(file: string): Jwk {
  const text = readText(file);
  try {
    const json = parseJson(text, 'public key');
    const inner =
      typeof json === 'object' && json !== null && !Array.isArray(json) && 'brokerKey' in json
        ? (json['brokerKey'] ?? null)
        : json;
    const { kty, crv, x, y } = parseJwk(inner, 'public key');
    if (kty === 'EC' && crv === 'P-256' && x !== undefined && y !== undefined)
      return { kty, crv, x, y };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
  throw new CommandError(`${file} holds no public P-256 key (JWK)`);
}

/** A party's private key, with the thumbprint by which the manifest's keys are told apart. */
export async function readPrivateKey(
  file: string,
): Promise<{ readonly key: CryptoKey; readonly thumbprint: string }> {
  let pkcs8: Uint8Array<ArrayBuffer>;
  try {
    pkcs8 = new Uint8Array(readFileSync(file));
  } catch (error) {
    throw new CommandError(`cannot read ${file}`, { cause: error });
  }
  try {
    const exportable = await crypto.subtle.importKey('pkcs8', pkcs8, EC, true, ['sign']);
    const { kty = '', crv = '', x = '', y = '' } = await crypto.subtle.exportKey('jwk', exportable);
    const key = await crypto.subtle.importKey('pkcs8', pkcs8, EC, false, ['sign']);
    return { key, thumbprint: await jwkThumbprint({ kty, crv, x, y }) };
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    throw new CommandError(`${file} holds no private P-256 key (PKCS #8)`, { cause: error });
  } finally {
    pkcs8.fill(0);
  }
}

async function publicHalf(key: CryptoKey): Promise<Jwk> {
  const { kty = '', crv = '', x = '', y = '' } = await crypto.subtle.exportKey('jwk', key);
  return { kty, crv, x, y };
}
