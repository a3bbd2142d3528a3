import type { IntelCollateral } from '@cloister/attestation';
import type { Bytes } from '@cloister/bytes';

/** A quote that verifies with its collateral at a time. */
export interface IntelSubject {
  readonly quote: Bytes;
  readonly collateral: IntelCollateral;
  readonly at: Date;
}
