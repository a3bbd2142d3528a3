import {
  admitToken,
  claimsOfToken,
  verifyCaller,
  type Verification,
  type VerifiedCaller,
  type VerifiedHead,
} from '@cloister/attestation';
import { isJsonObject, MalformedError, parseJsonObject, decodeUtf8 } from '@cloister/bytes';
import type { Agreement } from '@cloister/client';
import { parseJws, type Jwk } from '@cloister/crypto';
import { UnavailableError } from '@cloister/service';
import type { Role } from '../access/role.ts';
import type { Admission, AdmissionEnd, LoginVerdict } from '../gate/gate-deps.ts';
import type { Login } from '../gate/session.ts';
import type { NamedHeadJudge } from './judge-heads.ts';

/** By what logins are judged now. */
export interface GateTrust {
  /** The manifest in force; callers of the one before are bridged for one lease. */
  readonly agreement: Agreement;
  readonly roles: ReadonlyMap<string, Role>;
}

/** What a login is judged with. */
export interface AuthenticateOptions {
  readonly trust: () => GateTrust;
  /** Whether what a token names is recent (design 2.1, rule 8). */
  readonly judgeHeads: NamedHeadJudge;
  /** The issuers' published keys, from anywhere: the manifest pins them by thumbprint. */
  readonly fetchIssuerKeys: () => Promise<readonly Jwk[]>;
  /** Milliseconds since 1970, never behind the newest head. */
  readonly now: () => number;
}

/** Keys of issuers are fetched again after so long, when a token does not verify. */
const REFETCH_MS = 10_000;
/** The name that clients give where they were given none. */
const NO_USER = 'default';

/**
 * Judges logins by one token alone (design 2.1, rules 4, 5 and 8): it must be admitted for the
 * service that it names and name a recent head, that service must have a role, and the TLS key that
 * the client has shown on this connection must be the token's own. Throws UnavailableError where no
 * issuer can be asked.
 */
export function createAuthenticate(
  options: AuthenticateOptions,
): (login: Login, tls: string | undefined) => Promise<LoginVerdict> {
  const { trust, judgeHeads, now } = options;
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
    { trust: manifest, bridge }: Agreement,
  ): Promise<Verification<RecentCaller>> => {
    let head: VerifiedHead | undefined;
    const judge: NamedHeadJudge = async (hashes) => {
      const verdict = await judgeHeads(hashes);
      head = verdict.ok ? verdict.claims : undefined;
      return verdict;
    };
    const by = async (issuerKeys: readonly Jwk[]): Promise<Verification<RecentCaller>> => {
      const at = new Date(now());
      const trusted = { manifest, bridge, service, issuerKeys, at, judgeHeads: judge };
      const result = await verifyCaller(token, trusted);
      if (!result.ok) return result;
      if (head === undefined) return { ok: false, code: 'head_unknown', checks: result.checks };
      return { ...result, claims: { caller: result.claims, headTime: head.time } };
    };
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
      const result = await verify(login.token, service, current.agreement);
      // Judged by what was replaced meanwhile: again.
      if (trust().agreement.trust.id !== current.agreement.trust.id) continue;
      if (!result.ok) return refused(result.code);
      const end = admissionEnd(current, result.claims, now());
      if (end === undefined) return refused('not_admitted');
      if (end.expires <= now()) return refused(TOO_LATE[end.ending]);
      const attested = tlsOf(result.claims.caller);
      if (attested === undefined) return refused('no_tls_key');
      // Without a certificate, or with one of another key, a token is only a copy (rule 4).
      if (tls !== attested) return refused('possession');
      return { ok: true, admission: { role, ...result.claims, ...end } };
    }
  };
}

/** A caller whose token names a head that was recent. */
type RecentCaller = Pick<Admission, 'caller' | 'headTime'>;

/** What is said of a token whose admission would be over when it begins. */
const TOO_LATE = {
  expired: 'token_expired',
  lease: 'head_too_old',
  manifest: 'manifest_mismatch',
} as const;

/**
 * When the admission of a verified caller ends: with its token; one lease after the head that it
 * names, which its accepter is not to take any more (rule 8); where it still runs by the manifest
 * before, with the bridge, if the new manifest admits its code as well. Undefined: it is not
 * admitted at all.
 */
function admissionEnd(
  { agreement: { trust, bridge }, roles }: GateTrust,
  { caller, headTime }: RecentCaller,
  now: number,
): AdmissionEnd | undefined {
  if (!roles.has(caller.service)) return undefined;
  const ends: AdmissionEnd[] = [
    { expires: caller.exp * 1000, ending: 'expired' },
    { expires: (headTime + trust.manifest.lease) * 1000, ending: 'lease' },
  ];
  if (caller.manifestId !== trust.id) {
    const until = caller.manifestId === bridge?.manifestId ? bridge.until.getTime() : 0;
    const claims = claimsOfToken(caller.tokenClaims);
    if (now >= until || !admitToken(trust.manifest, caller.service, claims).ok) return undefined;
    ends.push({ expires: until, ending: 'manifest' });
  }
  return ends.reduce((first, end) => (end.expires < first.expires ? end : first));
}

/** As `admissionEnd`, for somebody who is logged in: a role whose rules changed ends as well. */
export function judgeAgain(
  trust: GateTrust,
  admission: Admission,
  now: number,
): AdmissionEnd | undefined {
  const { role } = admission;
  const isSame = trust.roles.get(role.name)?.rules === role.rules;
  return isSame ? admissionEnd(trust, admission, now) : undefined;
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
