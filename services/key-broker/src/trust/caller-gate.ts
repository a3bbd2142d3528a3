import {
  verifyCaller,
  type TrustedManifest,
  type Verification,
  type VerifiedCaller,
} from '@cloister/attestation';
import type { Bytes } from '@cloister/bytes';
import { verifyCall } from '@cloister/channel';
import type { Jwk } from '@cloister/crypto';
import { BrokerError } from '../broker-error.ts';

/** Keys of issuers are fetched again after so long, when a token does not verify. */
const REFETCH_MS = 10_000;

/** Says which of these services makes a call: by its token and its signature (design 5). */
export type CallerGate = (
  request: Request,
  binding: Bytes,
  options: { readonly manifest: TrustedManifest; readonly services: readonly string[] },
) => Promise<VerifiedCaller>;

/** Makes the gate. Where the issuer's keys cannot be had, nobody comes in. */
export function createCallerGate(options: {
  /** The issuers' published keys, from anywhere: the manifest pins them by thumbprint. */
  readonly fetchIssuerKeys: () => Promise<readonly Jwk[]>;
  readonly now: () => Date;
}): CallerGate {
  const keys = new IssuerKeys(options.fetchIssuerKeys, options.now);
  return async (request, binding, { manifest, services }) => {
    const verifyToken = (token: string): Promise<Verification<VerifiedCaller>> =>
      keys.use((issuerKeys) => verifyOne(token, issuerKeys, manifest, services, options.now()));
    const verdict = await verifyCall(request, { binding, verifyToken });
    if (!verdict.ok) {
      const code = verdict.code.startsWith('call_') ? 'caller_not_proven' : 'caller_refused';
      throw new BrokerError(code, { reason: verdict.code, checks: verdict.checks });
    }
    return verdict.claims;
  };
}

/** The keys that issuers publish: kept, and fetched again when a token does not verify by them. */
export class IssuerKeys {
  readonly #fetch: () => Promise<readonly Jwk[]>;
  readonly #now: () => Date;
  #kept: { readonly keys: readonly Jwk[]; readonly at: number } | undefined;

  constructor(fetch: () => Promise<readonly Jwk[]>, now: () => Date) {
    this.#fetch = fetch;
    this.#now = now;
  }

  /** Verifies by the kept keys, and once more by newer ones where that fails. */
  async use<T>(
    verify: (keys: readonly Jwk[]) => Promise<Verification<T>>,
  ): Promise<Verification<T>> {
    const kept = this.#kept;
    if (kept !== undefined) {
      const verdict = await verify(kept.keys);
      if (verdict.ok || this.#now().getTime() - kept.at < REFETCH_MS) return verdict;
    }
    return verify(await this.#renew());
  }

  async #renew(): Promise<readonly Jwk[]> {
    try {
      const keys = await this.#fetch();
      this.#kept = { keys, at: this.#now().getTime() };
      return keys;
    } catch (cause) {
      throw new BrokerError('issuer_unavailable', {}, { cause });
    }
  }
}

/** A token names one service: of several that may call, it can satisfy only one. */
async function verifyOne(
  token: string,
  issuerKeys: readonly Jwk[],
  manifest: TrustedManifest,
  services: readonly string[],
  at: Date,
): Promise<Verification<VerifiedCaller>> {
  let last: Verification<VerifiedCaller> = { ok: false, code: 'service_unknown', checks: [] };
  for (const service of services) {
    last = await verifyCaller(token, { manifest, service, issuerKeys, at });
    if (last.ok) return last;
  }
  return last;
}
