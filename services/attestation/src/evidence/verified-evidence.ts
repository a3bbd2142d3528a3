import type { Check, EvidenceClaims, VerificationCache } from '@cloister/attestation';
import type { Bytes, JsonObject } from '@cloister/bytes';
import type { CollateralStore } from '../collateral/collateral-store.ts';
import type { Roots } from './roots.ts';

/** Evidence whose claims are genuine, and what tokens say of it besides them. */
export interface VerifiedEvidence {
  readonly claims: EvidenceClaims;
  readonly checks: readonly Check[];
  /** What stands in the token, and what policies see as read-only JSON text. */
  readonly objects: JsonObject;
  /** Names under which the token repeats runtime data that is no JSON. */
  readonly heldDataNames: readonly string[];
  /** 128 hex digits; SHA-256 of the runtime data comes first. */
  readonly reportData: string;
  /** SHA-256 of the init-time data comes first; undefined where the machine has no such register. */
  readonly initTimeRegister: string | undefined;
}

/** What evidence is verified with. */
export interface EvidenceDeps {
  readonly roots: Roots;
  readonly collateral: CollateralStore;
  readonly cache: VerificationCache;
  /** The time at which evidence and collateral are judged: the clock's, unless it is pinned. */
  readonly verificationTime: () => Date;
}

/** How a kind of evidence is verified. Throws AzureError where it is refused. */
export type VerifyEvidence = (
  evidence: Bytes,
  deps: EvidenceDeps,
  /** The TCB baseline that a policy names, if it names one: an evaluation data number. */
  baseline?: number,
) => Promise<VerifiedEvidence>;
