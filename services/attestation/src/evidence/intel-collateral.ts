import { intelQueryOf, type IntelCollateral } from '@cloister/attestation';
import { MalformedError, type Bytes } from '@cloister/bytes';
import { AzureError } from '../azure-error.ts';
import { refusalOf } from '../refusal.ts';
import type { EvidenceDeps } from './verified-evidence.ts';

/** The collateral for a quote, of a baseline or the newest; AzureError where there is none. */
export async function collateralFor(
  tee: 'sgx' | 'tdx',
  quote: Bytes,
  { collateral, cache, verificationTime }: EvidenceDeps,
  baseline: number | undefined,
): Promise<IntelCollateral> {
  let found: IntelCollateral | undefined;
  try {
    const query = { ...intelQueryOf(quote, { cache }), tee };
    found = await collateral.find(query, verificationTime(), baseline);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw refusalOf('quote.format');
  }
  if (found === undefined)
    throw new AzureError(
      'InvalidParameter',
      'The specified quote was invalid due to an error in the quote collateral: none is known for its platform',
      'no_collateral',
    );
  return found;
}
