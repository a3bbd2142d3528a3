import { MalformedError, type JsonObject } from '@cloister/bytes';
import { CheckList } from '../check-list.ts';
import type { EvidenceClaims } from '../claims.ts';
import { INTEL_ROOT, type IntelCollateral } from '../intel/collateral.ts';
import type { EvidenceCrypto } from '../intel/evidence-crypto.ts';
import type { VerificationCache } from '../intel/verification-cache.ts';
import { verifySgxQuote } from '../sgx/verify-sgx-quote.ts';
import { verifySimulatedQuote } from '../simulated/verify-simulated-quote.ts';
import { snpEndorsementsOf } from '../snp/endorsements.ts';
import type { SnpCrypto } from '../snp/snp-crypto.ts';
import { verifySnpReport } from '../snp/verify-snp-report.ts';
import { verifyTdxQuote } from '../tdx/verify-tdx-quote.ts';
import type { Verification } from '../verification.ts';
import { intelCollateralOf, type EvidenceEnvelope, type EvidenceFormat } from './envelope.ts';

/** By what evidence of any format is verified. */
export interface EvidenceTrust {
  /** One sort of roots, never both (design 2.1, rule 9): the makers' own, or these by SPKI digest. */
  readonly roots: 'hardware' | { readonly simulated: readonly string[] };
  readonly at: Date;
  /** Intel's, where the envelope carries no endorsements. */
  readonly collateral?: IntelCollateral | undefined;
  readonly cache?: VerificationCache | undefined;
  /** WebCrypto unless told. */
  readonly crypto?: EvidencePrimitives | undefined;
}

/** The primitives that evidence of all formats needs. */
export type EvidencePrimitives = EvidenceCrypto & SnpCrypto;

/** What of an envelope its verification needs. */
export type BareEvidence = Pick<EvidenceEnvelope, 'format' | 'evidence' | 'endorsements'>;

/** Endorsements as read, ready to verify with. */
type Ready = () => Promise<Verification<EvidenceClaims>>;

const INTEL_FORMATS: readonly EvidenceFormat[] = ['sgx-quote', 'tdx-quote'];

/**
 * Verifies evidence that the processor itself made of the code, by its format, under one sort of
 * roots. Formats that do not count under these roots are refused, and `azure-hcl` is under both: its
 * claims are of two layers (see `verifyAzureEvidence`).
 */
export async function verifyEvidence(
  { format, evidence, endorsements }: BareEvidence,
  trust: EvidenceTrust,
): Promise<Verification<EvidenceClaims>> {
  const list = new CheckList();
  const { roots, at, cache, crypto } = trust;
  const common = {
    at,
    ...(cache === undefined ? {} : { cache }),
    ...(crypto === undefined ? {} : { crypto }),
  };
  const read = (): Ready | undefined => {
    if (format === 'snp-report') {
      const snp = endorsements && snpEndorsementsOf(endorsements);
      return snp && (() => verifySnpReport(evidence, { ...snp, ...common }));
    }
    const collateral = readIntel(endorsements, trust.collateral);
    if (collateral === undefined) return undefined;
    if (roots !== 'hardware') {
      const options = { collateral, rootDigests: roots.simulated, ...common };
      return () => verifySimulatedQuote(evidence, options);
    }
    const verify = format === 'tdx-quote' ? verifyTdxQuote : verifySgxQuote;
    return () => verify(evidence, { collateral, anchors: [INTEL_ROOT], ...common });
  };
  const known = formatsUnder(roots).includes(format);
  if (!list.expect('evidence format', known, 'format_not_agreed', format)) return list.refusal();
  const ready = readOrNull(read);
  const code = ready === null ? 'endorsements_malformed' : 'endorsements_missing';
  if (!list.expect('endorsements', !!ready, code) || !ready) return list.refusal();
  const result = await ready();
  return { ...result, checks: [...list.checks, ...result.checks] };
}

function formatsUnder(roots: EvidenceTrust['roots']): readonly EvidenceFormat[] {
  return roots === 'hardware' ? [...INTEL_FORMATS, 'snp-report'] : ['simulated-sgx-quote'];
}

function readIntel(
  endorsements: JsonObject | undefined,
  fallback: IntelCollateral | undefined,
): IntelCollateral | undefined {
  return endorsements === undefined ? fallback : intelCollateralOf(endorsements);
}

/** Null where there are endorsements that cannot be read. */
export function readOrNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) return null;
    throw error;
  }
}
