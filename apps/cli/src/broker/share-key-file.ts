import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import {
  decodeUtf8,
  MalformedError,
  parseJson,
  parseJsonObject,
  type JsonObject,
} from '@cloister/bytes';
import { decryptJwe, jwkThumbprint, parseJwk, type Jwk } from '@cloister/crypto';
import { CommandError } from '../command-error.ts';
import { readText } from '../manifest/manifest-draft.ts';

const RSA = { name: 'RSA-OAEP', hash: 'SHA-256' } as const;
const SHARE_TYP = 'cloister-share+jwe';

/** Makes the key of a person who is to hold a recovery share: the private half is that person's alone. */
export async function makeShareKey(file: string): Promise<string> {
  if (existsSync(file) || existsSync(`${file}.jwk`))
    throw new CommandError(`${file} is there already: a key is not overwritten`);
  const pair = await crypto.subtle.generateKey(
    { ...RSA, modulusLength: 3072, publicExponent: Uint8Array.of(1, 0, 1) },
    true,
    ['encrypt', 'decrypt'],
  );
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey));
  writeFileSync(file, pkcs8, { mode: 0o600, flag: 'wx' });
  pkcs8.fill(0);
  const { kty = '', n = '', e = '' } = await crypto.subtle.exportKey('jwk', pair.publicKey);
  const jwk = { kty, n, e };
  writeFileSync(`${file}.jwk`, `${JSON.stringify(jwk)}\n`, { flag: 'wx' });
  return jwkThumbprint(jwk);
}

/** Reads the public half of such a key. */
export function readShareRecipient(file: string): Jwk {
  const text = readText(file);
  try {
    const { kty, n, e } = parseJwk(parseJson(text, 'public key'), 'public key');
    if (kty === 'RSA' && n !== undefined && e !== undefined) return { kty, n, e };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
  throw new CommandError(`${file} holds no public RSA key (JWK)`);
}

/** Opens a share with its person's key: what the sealed broker is given. */
export async function openShare(file: string, keyFile: string): Promise<JsonObject> {
  const key = await readShareKey(keyFile);
  const opened = await decryptJwe(readText(file).trim(), { key, typ: SHARE_TYP });
  if (!opened.ok) throw new CommandError(`${file} does not open with ${keyFile}: ${opened.code}`);
  return parseJsonObject(decodeUtf8(opened.plaintext, 'share'), 'share');
}

async function readShareKey(file: string): Promise<CryptoKey> {
  let pkcs8: Uint8Array<ArrayBuffer>;
  try {
    pkcs8 = new Uint8Array(readFileSync(file));
  } catch (error) {
    throw new CommandError(`cannot read ${file}`, { cause: error });
  }
  try {
    return await crypto.subtle.importKey('pkcs8', pkcs8, RSA, false, ['decrypt']);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    throw new CommandError(`${file} holds no private RSA key (PKCS #8)`, { cause: error });
  } finally {
    pkcs8.fill(0);
  }
}
