import {
  admitToken,
  claimsOfToken,
  verifyCaller,
  type TrustedManifest,
  type VerifiedCaller,
  type Verification,
} from '@cloister/attestation';
import { isJsonObject, MalformedError, parseJsonObject, decodeUtf8 } from '@cloister/bytes';
import { parseJws, type Jwk } from '@cloister/crypto';
import { UnavailableError } from '@cloister/service';
import type { Role } from '../access/role.ts';
import type { Admission, LoginVerdict } from '../gate/gate-deps.ts';
import type { Login } from '../gate/session.ts';

/** By what logins are judged now. */
export interface GateTrust {
  readonly manifest: TrustedManifest;
  readonly roles: ReadonlyMap<string, Role>;
  /**
   * The manifest before: callers that still run by it are admitted until `until` (milliseconds,
   * one lease after the change), where the present manifest admits their code as well.
   */
  readonly before?: { readonly manifest: TrustedManifest; readonly until: number };
}

/** What a login is judged with. */
export interface AuthenticateOptions {
  readonly trust: () => GateTrust;
  /** The issuers' published keys, from anywhere: the manifest pins them by thumbprint. */
  readonly fetchIssuerKeys: () => Promise<readonly Jwk[]>;
  readonly now: () => number;
}

/** Keys of issuers are fetched again after so long, when a token does not verify. */
const REFETCH_MS = 10_000;
/** The name that clients give where they were given none. */
const NO_USER = 'default';

/**
 * Judges logins by one token alone (design 2.1, rules 4 and 5): it must be admitted for the
 * service that it names, that service must have a role, and the TLS key that the client has shown
 * on this connection must be the token's own. Throws UnavailableError where no issuer can be asked.
 */
export function createAuthenticate(
  options: AuthenticateOptions,
): (login: Login, tls: string | undefined) => Promise<LoginVerdict> {
  const { trust, now } = options;
  let kept: { readonly keys: readonly Jwk[]; readonly at: number } | undefined;
  let pending: Promise<readonly Jwk[]> | undefined;
  const fetchKeys = (): Promise<readonly Jwk[]> => {
    pending ??= options
      .fetchIssuerKeys()
      .then((keys) => {
        kept = { keys, at: now() };
        return keys;
      })
      .catch((cause: unknown) => {
        throw new UnavailableError('unreachable', 'issuer of tokens', { cause });
      })
      .finally(() => {
        pending = undefined;
      });
    return pending;
  };
  const verify = async (
    token: string,
    service: string,
    manifest: TrustedManifest,
  ): Promise<Verification<VerifiedCaller>> => {
    const by = (issuerKeys: readonly Jwk[]): Promise<Verification<VerifiedCaller>> =>
      verifyCaller(token, { manifest, service, issuerKeys, at: new Date(now()) });
    if (kept === undefined) return by(await fetchKeys());
    const result = await by(kept.keys);
    // The issuer may have changed its key since.
    if (result.ok || now() - kept.at < REFETCH_MS) return result;
    return by(await fetchKeys());
  };

  return async function authenticate(login, tls): Promise<LoginVerdict> {
    const service = serviceOf(login.token);
    if (service === undefined) return refused('token_malformed');
    if (login.user !== undefined && login.user !== NO_USER && login.user !== service)
      return refused('user_mismatch');
    for (;;) {
      const current = trust();
      const role = current.roles.get(service);
      if (role === undefined) return refused('no_role');
      let result = await verify(login.token, service, current.manifest);
      if (!result.ok && result.code === 'manifest_mismatch' && isBridged(current, now()))
        result = await verify(login.token, service, current.before?.manifest ?? current.manifest);
      // Judged by what was replaced meanwhile: again.
      if (trust().manifest.id !== current.manifest.id) continue;
      if (!result.ok) return refused(result.code);
      const until = admissionEnd(current, result.claims, now());
      if (until === undefined) return refused('not_admitted');
      const attested = tlsOf(result.claims);
      if (attested === undefined) return refused('no_tls_key');
      // Without a certificate, or with one of another key, a token is only a copy (rule 4).
      if (tls !== attested) return refused('possession');
      return { ok: true, admission: { role, caller: result.claims, expires: until } };
    }
  };
}

/**
 * When the admission of a verified caller ends: with its token; where it still runs by the
 * manifest before, one lease after the change, if the new manifest admits its code as well.
 * Undefined: it is not admitted at all.
 */
function admissionEnd(
  { manifest, roles, before }: GateTrust,
  caller: VerifiedCaller,
  now: number,
): number | undefined {
  if (!roles.has(caller.service)) return undefined;
  const ends = caller.exp * 1000;
  if (caller.manifestId === manifest.id) return ends;
  if (before === undefined || caller.manifestId !== before.manifest.id || now >= before.until)
    return undefined;
  const admitted = admitToken(manifest.manifest, caller.service, claimsOfToken(caller.tokenClaims));
  return admitted.ok ? Math.min(ends, before.until) : undefined;
}

/** As `admissionEnd`, for somebody who is logged in: a role whose rules changed ends as well. */
export function judgeAgain(
  trust: GateTrust,
  { role, caller }: Admission,
  now: number,
): number | undefined {
  return trust.roles.get(role.name)?.rules === role.rules
    ? admissionEnd(trust, caller, now)
    : undefined;
}

function isBridged({ before }: GateTrust, now: number): boolean {
  return before !== undefined && now < before.until;
}

function refused(code: string): LoginVerdict {
  return { ok: false, code };
}

/** The service that a token names, before anything is verified: it only says what to expect. */
function serviceOf(token: string): string | undefined {
  try {
    const payload = parseJsonObject(decodeUtf8(parseJws(token).payload, 'token'), 'token');
    const runtime = payload['x-ms-runtime'];
    const service = runtime !== undefined && isJsonObject(runtime) ? runtime['service'] : undefined;
    return typeof service === 'string' ? service : undefined;
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** The attested TLS key: of the runtime data whose digest `verifyCaller` found in the evidence. */
function tlsOf({ tokenClaims }: VerifiedCaller): string | undefined {
  const { runtime } = claimsOfToken(tokenClaims);
  const tls = runtime?.['tls'];
  return typeof tls === 'string' ? tls : undefined;
}
