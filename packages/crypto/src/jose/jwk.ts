import {
  canonicalJson,
  decodeBase64url,
  encodeBase64url,
  encodeUtf8,
  isJsonObject,
  isZero,
  MalformedError,
  type Bytes,
  type JsonValue,
} from '@cloister/bytes';
import { sha256 } from '../digest.ts';
import { coordinateLength, encodePublicKey, parsePublicKey } from '../x509/public-key.ts';

/** A JSON Web Key (RFC 7517), public or symmetric; members that are not listed are not looked at. */
export type Jwk = {
  readonly kty: string;
  readonly crv?: string;
  readonly x?: string;
  readonly y?: string;
  readonly n?: string;
  readonly e?: string;
  readonly k?: string;
  readonly use?: string;
  readonly alg?: string;
  readonly kid?: string;
};

/** What a thumbprint is taken over, by key type (RFC 7638, 3.2; RFC 8037, 2). */
const REQUIRED: Readonly<Record<string, readonly ('kty' | 'crv' | 'x' | 'y' | 'n' | 'e' | 'k')[]>> =
  {
    EC: ['crv', 'kty', 'x', 'y'],
    RSA: ['e', 'kty', 'n'],
    OKP: ['crv', 'kty', 'x'],
    oct: ['k', 'kty'],
  };

const MEMBERS = ['kty', 'crv', 'x', 'y', 'n', 'e', 'k', 'use', 'alg', 'kid'] as const;

/** The SHA-256 thumbprint of a key, base64url (RFC 7638). */
export async function jwkThumbprint(jwk: Jwk): Promise<string> {
  const members = Object.hasOwn(REQUIRED, jwk.kty) ? (REQUIRED[jwk.kty] ?? []) : [];
  if (members.length === 0) throw new MalformedError('bad_value', 'JWK kty');
  const entries = members.map((member): [string, string] => {
    const value = jwk[member];
    if (typeof value !== 'string') throw new MalformedError('bad_value', `JWK member ${member}`);
    return [member, value];
  });
  const digest = await sha256(encodeUtf8(canonicalJson(Object.fromEntries(entries))));
  return encodeBase64url(digest);
}

/**
 * Reads a JWK: a JSON object with `kty`, whose known members are texts (RFC 7517, section 4).
 * Other members are dropped, the private ones first of all.
 */
export function parseJwk(value: JsonValue, name = 'JWK'): Jwk {
  if (!isJsonObject(value)) throw new MalformedError('bad_value', name);
  const jwk: { -readonly [Member in keyof Jwk]: Jwk[Member] } = { kty: '' };
  for (const member of MEMBERS) {
    const text = Object.hasOwn(value, member) ? value[member] : undefined;
    if (text === undefined) continue;
    if (typeof text !== 'string') throw new MalformedError('bad_value', `${name} member ${member}`);
    jwk[member] = text;
  }
  if (jwk.kty === '') throw new MalformedError('bad_value', `${name} member kty`);
  return jwk;
}

/** The public members of the key in a SubjectPublicKeyInfo (RFC 7518, section 6). */
export function jwkFromSpki(spki: Uint8Array): Jwk {
  const key = parsePublicKey(spki);
  if (key.type === 'rsa') {
    return { kty: 'RSA', n: encodeBase64url(key.modulus), e: encodeBase64url(key.exponent) };
  }
  return { kty: 'EC', crv: key.curve, x: encodeBase64url(key.x), y: encodeBase64url(key.y) };
}

/**
 * The SubjectPublicKeyInfo of an EC (P-256, P-384) or RSA key. Strict: coordinates have their full
 * length, RSA numbers no leading zeros (RFC 7518, 6.2.1.2 and 6.3.1.1), so that one key has one JWK.
 */
export function spkiFromJwk(jwk: Jwk): Bytes {
  if (jwk.kty === 'EC') {
    const curve = jwk.crv === 'P-256' || jwk.crv === 'P-384' ? jwk.crv : refuse('crv');
    const [x, y] = [decodeMember(jwk, 'x'), decodeMember(jwk, 'y')];
    const size = coordinateLength(curve);
    if (x.length !== size) refuse('x');
    if (y.length !== size) refuse('y');
    return encodePublicKey({ type: 'ec', curve, x, y });
  }
  if (jwk.kty !== 'RSA') refuse('kty');
  const [modulus, exponent] = [decodeMember(jwk, 'n'), decodeMember(jwk, 'e')];
  if (isZero(modulus.subarray(0, 1))) refuse('n');
  if (isZero(exponent.subarray(0, 1))) refuse('e');
  return encodePublicKey({ type: 'rsa', modulus, exponent });
}

function decodeMember(jwk: Jwk, member: 'x' | 'y' | 'n' | 'e'): Bytes {
  const value = jwk[member];
  return typeof value === 'string'
    ? decodeBase64url(value, `JWK member ${member}`)
    : refuse(member);
}

function refuse(member: string): never {
  throw new MalformedError('bad_value', `JWK member ${member}`);
}
