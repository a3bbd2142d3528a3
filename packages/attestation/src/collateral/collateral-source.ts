import type { SnpTcb } from '../claims.ts';
import type { IntelCollateral } from '../intel/collateral.ts';
import type { SnpEndorsements } from '../snp/endorsements.ts';
import type { SnpProduct } from '../snp/tcb.ts';
import type { CollateralFailure } from './collateral-failure.ts';

/** Which of Intel's collateral: by kind of TEE, model of processor, and CA of its PCK. */
export interface IntelQuery {
  readonly tee: 'sgx' | 'tdx';
  /** 12 lower-hex digits. */
  readonly fmspc: string;
  readonly ca: PckCa;
}

/** Intel's two CAs that issue PCK certificates. */
export type PckCa = 'processor' | 'platform';

/** Which of AMD's certificates: those of the key that a chip derived for a TCB. */
export interface SnpQuery {
  readonly product: SnpProduct;
  readonly signer: 'vcek' | 'vlek';
  /** CHIP_ID of the report, lower hex; of no use for a VLEK. */
  readonly chipId: string;
  /** REPORTED_TCB. */
  readonly tcb: SnpTcb;
}

/** How a document stands to the time at which it is handed out. */
export type Freshness =
  /** Asked for within the source's time, and in date. */
  | 'fresh'
  /** In date, but older than the source's time: it is being asked for again. */
  | 'stale'
  /** Beyond its own end: the verifier decides. */
  | 'expired';

/** Where one document of an answer came from, and how old it is. */
export interface DocumentOrigin {
  /** What it is: `TCB info`, `PCK CRL` … */
  readonly document: string;
  /** The name of the source. */
  readonly source: string;
  readonly fetchedAt: Date;
  readonly ageSeconds: number;
  /** Its own end, unless it has none. */
  readonly nextUpdate?: Date;
  readonly freshness: Freshness;
  /** Why it is no fresher: what came of the last attempt to get a newer one. */
  readonly lastFailure?: CollateralFailure;
}

/** What a source answers: never without saying where it came from, or which source failed. */
export type Fetched<T> =
  | {
      readonly ok: true;
      readonly value: T;
      readonly origins: readonly DocumentOrigin[];
      /** Of sources that were asked before this one, by the caller's own order. */
      readonly failures: readonly CollateralFailure[];
    }
  | { readonly ok: false; readonly failures: readonly CollateralFailure[] };

/** Gives Intel's collateral. Nothing in it is trusted before a quote was verified with it. */
export interface IntelCollateralSource {
  readonly name: string;
  intel(query: IntelQuery): Promise<Fetched<IntelCollateral>>;
}

/** Gives AMD's certificates; as with Intel's, verifying them is the verifier's. */
export interface SnpEndorsementSource {
  readonly name: string;
  snp(query: SnpQuery): Promise<Fetched<SnpEndorsements>>;
}
