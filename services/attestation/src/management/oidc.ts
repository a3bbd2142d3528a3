import {
  decodeUtf8,
  isJsonObject,
  MalformedError,
  parseJsonObject,
  type JsonObject,
} from '@cloister/bytes';
import { parseJws, parseJwk, verifyJws, type Jwk } from '@cloister/crypto';
import type { Fetch } from '@cloister/service';
import { unauthorized, type Authorize, type Role } from './authorize.ts';

/** Whose bearer tokens count. */
export interface OidcOptions {
  /** The issuer's URL; its keys are found by its metadata. */
  readonly issuer: string;
  /** What `aud` must be, or contain. */
  readonly audience: string;
  readonly fetch: Fetch;
  readonly now: () => Date;
}

/**
 * The names by which a role is known (spec/azure-attestation.md 1.1): Azure's roles, and the
 * permissions that they are made of.
 */
const ROLES: Readonly<Record<Role, readonly string[]>> = {
  read: [
    'Attestation Reader',
    'Attestation Contributor',
    'Reader',
    'Contributor',
    'Owner',
    'Microsoft.Attestation/attestationProviders/attestation/read',
  ],
  write: [
    'Attestation Contributor',
    'Contributor',
    'Owner',
    'Microsoft.Attestation/attestationProviders/attestation/write',
  ],
};
const TOLERANCE_SECONDS = 60;
/** Keys are asked for again when they are so old, or a token names another, but not more often. */
const KEYS_FRESH_MS = 3_600_000;
const KEYS_PAUSE_MS = 10_000;
const LIMITS = { maxDepth: 16, maxLength: 1 << 20 };

/**
 * Management calls authorised by an OpenID provider: the bearer is a JWT of this issuer for this
 * audience, by a key of its JWKS, in date, and names the role in `roles`.
 */
export function oidcAuthorizer(options: OidcOptions): Authorize {
  const { issuer, audience, now } = options;
  const keysOf = createKeySource(options);
  return async (authorization, role) => {
    const token = /^Bearer ([\w.~+/-]+=*)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) throw unauthorized('bad_bearer');
    const payload = await verify(token, keysOf);
    const seconds = now().getTime() / 1000;
    const { iss, aud, exp, nbf, roles, sub, oid } = payload;
    if (iss !== issuer) throw unauthorized('bearer_issuer');
    if (!(Array.isArray(aud) ? aud : [aud]).includes(audience))
      throw unauthorized('bearer_audience');
    if (typeof exp !== 'number' || seconds >= exp + TOLERANCE_SECONDS)
      throw unauthorized('bearer_expired');
    if (nbf !== undefined && (typeof nbf !== 'number' || seconds < nbf - TOLERANCE_SECONDS))
      throw unauthorized('bearer_not_yet_valid');
    if (
      !Array.isArray(roles) ||
      !roles.some((one) => typeof one === 'string' && ROLES[role].includes(one))
    )
      throw unauthorized('bearer_role');
    const name = typeof oid === 'string' ? oid : sub;
    return typeof name === 'string' ? name.slice(0, 256) : 'unnamed';
  };
}

async function verify(
  token: string,
  keysOf: (kid: string | undefined) => Promise<readonly Jwk[]>,
): Promise<JsonObject> {
  try {
    const { header } = parseJws(token);
    const kid = typeof header['kid'] === 'string' ? header['kid'] : undefined;
    for (const key of await keysOf(kid)) {
      const verdict = await verifyJws(token, { key, algs: ['RS256', 'ES256'] });
      if (verdict.ok)
        return parseJsonObject(decodeUtf8(verdict.payload, 'bearer'), 'bearer', LIMITS);
    }
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw unauthorized('bearer_malformed');
  }
  throw unauthorized('bearer_signature');
}

/** The issuer's keys; those with the kid that a token names, all where it names none. */
function createKeySource({
  issuer,
  fetch,
  now,
}: OidcOptions): (kid: string | undefined) => Promise<readonly Jwk[]> {
  let keys: readonly Jwk[] = [];
  let fetched = Number.NEGATIVE_INFINITY;
  let pending: Promise<void> | undefined;
  const refresh = async (): Promise<void> => {
    fetched = now().getTime();
    const metadata = await getJson(fetch, `${issuer}/.well-known/openid-configuration`);
    const { jwks_uri: jwksUri } = metadata;
    if (metadata['issuer'] !== issuer || typeof jwksUri !== 'string')
      throw new MalformedError('bad_value', 'OpenID metadata');
    const { keys: list } = await getJson(fetch, jwksUri);
    keys = (Array.isArray(list) ? list : [])
      .filter((one) => isJsonObject(one) && one['use'] !== 'enc')
      .map((one) => parseJwk(one, 'JWKS'));
  };
  return async (kid) => {
    const age = now().getTime() - fetched;
    const known = (): readonly Jwk[] => keys.filter((key) => kid === undefined || key.kid === kid);
    if (age > KEYS_FRESH_MS || (known().length === 0 && age > KEYS_PAUSE_MS))
      await (pending ??= refresh().finally(() => {
        pending = undefined;
      }));
    return known();
  };
}

async function getJson(fetch: Fetch, url: string): Promise<JsonObject> {
  const answer = await fetch(new Request(url));
  if (!answer.ok) throw new MalformedError('bad_value', 'OpenID provider: status');
  return parseJsonObject(await answer.text(), 'OpenID provider', LIMITS);
}
