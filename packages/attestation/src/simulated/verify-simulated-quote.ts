import type { SgxClaims } from '../claims.ts';
import type { IntelCollateral } from '../intel/collateral.ts';
import type { EvidenceCrypto } from '../intel/evidence-crypto.ts';
import type { VerificationCache } from '../intel/verification-cache.ts';
import { verifySgxQuote } from '../sgx/verify-sgx-quote.ts';
import type { Verification } from '../verification.ts';

/**
 * Verifies a simulated quote by the very code that verifies real ones, under the roots that the
 * caller names. The claims say `simulated`; a root that turns out to be Intel's own is refused.
 */
export async function verifySimulatedQuote(
  quote: Uint8Array,
  options: {
    readonly collateral: IntelCollateral;
    readonly at: Date;
    /** SHA-256 of the SubjectPublicKeyInfo of each simulated root, lower hex. */
    readonly rootDigests: readonly string[];
    readonly cache?: VerificationCache;
    /** WebCrypto unless told. */
    readonly crypto?: EvidenceCrypto;
  },
): Promise<Verification<SgxClaims>> {
  const { rootDigests, ...rest } = options;
  const anchors = rootDigests.map((spkiSha256) => ({ spkiSha256 }));
  const result = await verifySgxQuote(quote, { ...rest, anchors });
  if (!result.ok) return result;
  const check = 'root is simulated';
  if (result.claims.simulated)
    return { ...result, checks: [...result.checks, { check, outcome: 'passed' }] };
  const code = 'roots_mismatch';
  return { ok: false, code, checks: [...result.checks, { check, outcome: 'failed', code }] };
}
