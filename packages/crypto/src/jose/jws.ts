import {
  asBytes,
  decodeBase64url,
  encodeBase64url,
  encodeUtf8,
  MalformedError,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { importVerifyKey, type KeyCache } from '../x509/verify-key.ts';
import { parseHeader, splitCompact } from './compact.ts';
import { spkiFromJwk, type Jwk } from './jwk.ts';

/** The signature algorithms of JWS that are used here (RFC 7518, section 3.1). */
export type JwsAlgorithm = 'ES256' | 'RS256';

/** What `verifyJws` may say no with. */
export type JwsCode =
  | 'malformed'
  | 'alg_not_allowed'
  | 'critical_header'
  | 'wrong_type'
  | 'wrong_payload_form'
  | 'wrong_key'
  | 'bad_signature';

/** A compact JWS as read: nothing in it is verified. */
export interface ParsedJws {
  readonly header: JsonObject;
  /** Empty where the JWS is detached. */
  readonly payload: Bytes;
  readonly signingInput: Bytes;
  readonly signature: Bytes;
}

/** The verdict on a JWS. Header and payload exist only when the signature verified. */
export type JwsVerdict =
  | { readonly ok: true; readonly header: JsonObject; readonly payload: Bytes }
  | { readonly ok: false; readonly code: JwsCode };

const OPERATIONS = {
  ES256: { name: 'ECDSA', hash: 'SHA-256' },
  RS256: { name: 'RSASSA-PKCS1-v1_5' },
} as const;

/** Signs a compact JWS (RFC 7515, section 3.1). `detached` leaves the payload out (appendix F). */
export async function signJws(input: {
  readonly alg: JwsAlgorithm;
  readonly key: CryptoKey;
  readonly header: JsonObject;
  readonly payload: Uint8Array | string;
  readonly detached?: boolean;
}): Promise<string> {
  const { alg, key, header, payload, detached = false } = input;
  if (!keyFits(key, alg, 'sign')) throw new TypeError(`the key does not sign ${alg}`);
  if (Object.hasOwn(header, 'alg') && header['alg'] !== alg) throw new TypeError('two algs');
  const head = encodeBase64url(encodeUtf8(JSON.stringify({ ...header, alg })));
  const body = encodeBase64url(typeof payload === 'string' ? encodeUtf8(payload) : payload);
  const signature = await crypto.subtle.sign(OPERATIONS[alg], key, encodeUtf8(`${head}.${body}`));
  return `${head}.${detached ? '' : body}.${encodeBase64url(new Uint8Array(signature))}`;
}

/** Reads a compact JWS without verifying it; MalformedError where it is none. */
export function parseJws(compact: string): ParsedJws {
  const [head = '', body = '', tail = ''] = splitCompact(compact, 3, 'JWS');
  const header = parseHeader(head, 'JWS');
  const payload = decodeBase64url(body, 'JWS payload');
  const signature = decodeBase64url(tail, 'JWS signature');
  return { header, payload, signature, signingInput: encodeUtf8(`${head}.${body}`) };
}

/**
 * Verifies a compact JWS with the one key that the caller chose. The header chooses nothing: `alg`
 * must be among `algs` and fit the key; `crit` is refused (no extension is understood here, RFC
 * 7515, 4.1.11); `jku`, `jwk`, `x5u` and `x5c` are not looked at. `typ`, when given, must be equal.
 * With `detachedPayload` the JWS must be detached, without it, it must not be.
 */
export async function verifyJws(
  compact: string,
  options: {
    readonly key: CryptoKey | Jwk;
    readonly algs: readonly JwsAlgorithm[];
    readonly typ?: string;
    readonly detachedPayload?: Uint8Array;
    readonly cache?: KeyCache;
  },
): Promise<JwsVerdict> {
  const { key, algs, typ, detachedPayload, cache } = options;
  let jws: ParsedJws;
  try {
    jws = parseJws(compact);
  } catch (error) {
    if (error instanceof MalformedError) return { ok: false, code: 'malformed' };
    throw error;
  }
  const { header, signature } = jws;
  const alg = algs.find((allowed) => allowed === header['alg']);
  if (alg === undefined) return { ok: false, code: 'alg_not_allowed' };
  // RFC 7797, section 6: b64 counts only with crit; without it, readers would disagree.
  if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64')) {
    return { ok: false, code: 'critical_header' };
  }
  if (typ !== undefined && header['typ'] !== typ) return { ok: false, code: 'wrong_type' };
  if (detachedPayload !== undefined && jws.payload.length > 0) {
    return { ok: false, code: 'wrong_payload_form' };
  }
  const verifyKey = await importFor(key, alg, cache);
  if (verifyKey === undefined) return { ok: false, code: 'wrong_key' };
  const payload = detachedPayload === undefined ? jws.payload : asBytes(detachedPayload);
  const [head = ''] = compact.split('.', 1);
  const signed =
    detachedPayload === undefined
      ? jws.signingInput
      : encodeUtf8(`${head}.${encodeBase64url(payload)}`);
  const good = await crypto.subtle.verify(OPERATIONS[alg], verifyKey, signature, signed);
  return good ? { ok: true, header, payload } : { ok: false, code: 'bad_signature' };
}

async function importFor(
  key: CryptoKey | Jwk,
  alg: JwsAlgorithm,
  cache: KeyCache | undefined,
): Promise<CryptoKey | undefined> {
  if (!('kty' in key)) return keyFits(key, alg, 'verify') ? key : undefined;
  if (key.alg !== undefined && key.alg !== alg) return undefined;
  if (key.use !== undefined && key.use !== 'sig') return undefined;
  const algorithm = alg === 'ES256' ? 'ecdsa-sha256' : 'rsa-pkcs1-sha256';
  try {
    const spki = spkiFromJwk(key);
    return await (cache?.importVerifyKey(spki, algorithm) ?? importVerifyKey(spki, algorithm));
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

function keyFits(key: CryptoKey, alg: JwsAlgorithm, usage: KeyUsage): boolean {
  const { algorithm } = key;
  if (algorithm.name !== OPERATIONS[alg].name || !key.usages.includes(usage)) return false;
  if (alg === 'ES256') return 'namedCurve' in algorithm && algorithm.namedCurve === 'P-256';
  if (!('hash' in algorithm) || !('modulusLength' in algorithm)) return false;
  const { hash, modulusLength } = algorithm;
  const isSha256 =
    typeof hash === 'object' && hash !== null && 'name' in hash && hash.name === 'SHA-256';
  // RFC 7518, section 3.3: 2048 bits or more.
  return isSha256 && typeof modulusLength === 'number' && modulusLength >= 2048;
}
