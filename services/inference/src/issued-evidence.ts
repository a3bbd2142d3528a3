import type { EvidenceEnvelope, EvidenceSource } from '@cloister/attestation';
import { encodeHex } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';

/** Evidence of this process that was given out, and for how long a receipt may name it. */
export interface IssuedEvidence extends EvidenceSource {
  /** Whether this digest is of evidence that this process gave out within the lease. */
  isIssued(digest: string): boolean;
  /** The digest of the newest evidence within the lease; makes new evidence where there is none. */
  newest(): Promise<string>;
}

/** So many digests are kept; whoever asks more often pushes the oldest out. */
const CAPACITY = 100_000;

/**
 * Remembers the digests of the evidence that a source gives (design 3.5): all of it is over the
 * same keys, and each caller's receipt names the evidence that this caller has verified.
 */
export function rememberIssued(
  source: EvidenceSource,
  { lease, now }: { readonly lease: () => number; readonly now: () => Date },
): IssuedEvidence {
  const issued = new Map<string, number>();
  const isCurrent = (until: number | undefined): boolean =>
    until !== undefined && now().getTime() < until;
  const remember = async (envelope: EvidenceEnvelope): Promise<string> => {
    const digest = encodeHex(await sha256(envelope.evidence));
    issued.delete(digest);
    issued.set(digest, now().getTime() + lease() * 1000);
    for (const [oldest, until] of issued) {
      if (issued.size <= CAPACITY && isCurrent(until)) break;
      issued.delete(oldest);
    }
    return digest;
  };
  return {
    ...(source.ohttpKeys === undefined ? {} : { ohttpKeys: source.ohttpKeys }),
    async evidence(nonce) {
      const envelope = await source.evidence(nonce);
      await remember(envelope);
      return envelope;
    },
    isIssued: (digest) => isCurrent(issued.get(digest)),
    async newest() {
      const [digest, until] = [...issued].at(-1) ?? [];
      if (digest !== undefined && isCurrent(until)) return digest;
      return remember(await source.evidence());
    },
  };
}
