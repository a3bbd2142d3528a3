import { AzureError } from '../azure-error.ts';
import type { AttestKind } from '../kinds.ts';
import type { Roots } from './roots.ts';
import type { VerifyEvidence } from './verified-evidence.ts';
import { verifyOpenEnclave, verifySgx } from './verify-sgx.ts';
import { verifySnp } from './verify-snp.ts';
import { verifyTdx } from './verify-tdx.ts';

/** How each kind of evidence is verified. */
export const VERIFIERS: Readonly<Record<AttestKind, VerifyEvidence>> = {
  SgxEnclave: verifySgx,
  OpenEnclave: verifyOpenEnclave,
  SevSnpVm: verifySnp,
  TdxVm: verifyTdx,
  Simulated: verifySgx,
};

/** A verifier holds one sort of roots, never both (design 2.1, rule 9). */
export function checkSort(kind: AttestKind, { sort }: Roots): void {
  if ((kind === 'Simulated') === (sort === 'simulated')) return;
  throw new AzureError(
    'InvalidOperation',
    `This instance verifies ${sort} evidence only`,
    'wrong_sort_of_evidence',
  );
}
