import type { IntelCollateral, TrustAnchor } from './collateral.ts';
import type { EvidenceCrypto } from './evidence-crypto.ts';
import type { VerificationCache } from './verification-cache.ts';

/** What an Intel quote is verified with. */
export interface IntelQuoteOptions {
  readonly collateral: IntelCollateral;
  /** The caller's clock; libraries have none. */
  readonly at: Date;
  readonly anchors: readonly TrustAnchor[];
  /** Keeps signature verdicts, documents and keys for the next quote. */
  readonly cache?: VerificationCache;
  /** WebCrypto unless told. */
  readonly crypto?: EvidenceCrypto;
  /** Danger: lets collateral pass that expired up to so long ago; the claims then say so. */
  readonly allowExpiredCollateral?: { readonly graceSeconds: number };
  /** Refuses bytes after the signature data, which real quotes have as padding. */
  readonly refuseTrailingBytes?: boolean;
}
