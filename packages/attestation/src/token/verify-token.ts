import { decodeUtf8, MalformedError, parseJsonObject, type JsonObject } from '@cloister/bytes';
import { jwkThumbprint, parseJws, verifyJws, type Jwk } from '@cloister/crypto';
import { CheckList } from '../check-list.ts';
import type { Verification } from '../verification.ts';

/** An issuer of tokens, and the keys by which its tokens are verified. */
export interface TokenIssuer {
  readonly iss: string;
  readonly keys: readonly Jwk[];
}

/** What a verified token says. Whether it is acceptable is for the manifest to say. */
export interface TokenClaims {
  readonly issuer: string;
  /** RFC 7638 thumbprint of the key that signed it. */
  readonly keyThumbprint: string;
  readonly expires: Date;
  readonly payload: JsonObject;
}

/** Why a token was refused. */
export type TokenCode =
  | 'token_malformed'
  | 'token_alg'
  | 'token_type'
  | 'token_key_embedded'
  | 'token_issuer'
  | 'token_kid_missing'
  | 'token_kid_unknown'
  | 'token_signature'
  | 'token_expired'
  | 'token_not_yet_valid'
  | 'token_no_expiry';

const CHECKS = [
  'token format',
  'token algorithm',
  'token type',
  'no key in the token',
  'token issuer',
  'token names its key',
  'token key',
  'token signature',
  'token expiry',
  'token not expired',
  'token already valid',
] as const;
const ALGORITHMS = { RS256: 'RSA', ES256: 'EC' } as const;
const EMBEDDED = ['jwk', 'x5c', 'x5u'] as const;
const MAX_TOKEN = 64 * 1024;
const DEFAULT_TOLERANCE = 60;

/**
 * Checks that one of these issuers signed this token and that it is valid at `at`. Keys come
 * from the caller alone: a key or address of a key in the token's header decides nothing.
 */
export async function verifyToken(
  token: string,
  options: {
    readonly issuers: readonly TokenIssuer[];
    readonly at: Date;
    /** How far clocks may differ; 60 unless told. */
    readonly toleranceSeconds?: number;
  },
): Promise<Verification<TokenClaims>> {
  const list = new CheckList();
  const refuse = (): Verification<never> => {
    list.skipRest(CHECKS);
    return list.refusal();
  };
  const parsed = parseToken(token);
  if (!list.expect('token format', parsed !== undefined, 'token_malformed') || !parsed)
    return refuse();
  const { header, payload } = parsed;
  const alg = header['alg'] === 'RS256' || header['alg'] === 'ES256' ? header['alg'] : undefined;
  if (!list.expect('token algorithm', alg !== undefined, 'token_alg') || !alg) return refuse();
  const typ = header['typ'];
  const isJwt = typ === undefined || (typeof typ === 'string' && typ.toUpperCase() === 'JWT');
  if (!list.expect('token type', isJwt, 'token_type')) return refuse();
  const embedded = EMBEDDED.some((name) => Object.hasOwn(header, name));
  if (!list.expect('no key in the token', !embedded, 'token_key_embedded')) return refuse();
  const issuer = options.issuers.find(({ iss }) => iss === payload['iss']);
  if (!list.expect('token issuer', issuer !== undefined, 'token_issuer') || !issuer)
    return refuse();
  const kid = header['kid'];
  const named = typeof kid === 'string' && kid !== '';
  if (!list.expect('token names its key', named, 'token_kid_missing')) return refuse();
  const keys = issuer.keys.filter(
    (key) => key['kid'] === kid && key['kty'] === ALGORITHMS[alg] && key['use'] !== 'enc',
  );
  if (!list.expect('token key', keys.length > 0, 'token_kid_unknown')) return refuse();
  const signer = await signerOf(token, alg, keys);
  if (!list.expect('token signature', signer !== undefined, 'token_signature') || !signer)
    return refuse();
  const expires = secondsOf(payload, 'exp');
  if (!list.expect('token expiry', expires !== undefined, 'token_no_expiry')) return refuse();
  const tolerance = options.toleranceSeconds ?? DEFAULT_TOLERANCE;
  const now = options.at.getTime() / 1000;
  const end = expires ?? 0;
  if (!list.expect('token not expired', now < end + tolerance, 'token_expired')) return refuse();
  const begun = ['nbf', 'iat'].every((name) => {
    if (payload[name] === undefined) return true;
    const from = secondsOf(payload, name);
    return from !== undefined && from <= now + tolerance;
  });
  if (!list.expect('token already valid', begun, 'token_not_yet_valid')) return refuse();
  return list.result({
    issuer: issuer.iss,
    keyThumbprint: await jwkThumbprint(signer),
    expires: new Date(end * 1000),
    payload,
  });
}

function parseToken(token: string): { header: JsonObject; payload: JsonObject } | undefined {
  if (token.length > MAX_TOKEN) return undefined;
  try {
    const { header, payload } = parseJws(token);
    return { header, payload: parseJsonObject(decodeUtf8(payload, 'token'), 'token') };
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

async function signerOf(
  token: string,
  alg: 'RS256' | 'ES256',
  keys: readonly Jwk[],
): Promise<Jwk | undefined> {
  for (const key of keys) {
    const result = await verifyJws(token, { key, algs: [alg] });
    if (result.ok) return key;
  }
  return undefined;
}

/** A NumericDate (RFC 7519, section 2) that Date can hold. */
function secondsOf(payload: JsonObject, name: string): number | undefined {
  const value = payload[name];
  return typeof value === 'number' && value >= 0 && value < 8.64e12 ? value : undefined;
}
