import type { AppraisalPolicy, Manifest, TcbStatus } from '@cloister/attestation';

/**
 * The library's appraisal that precedes the policy's text (design 3.1). Without a manifest it has
 * the library's safe defaults; a manifest says which sort of evidence counts, and which TCB
 * statuses any of its services may have. Nothing lets a debuggable enclave pass.
 */
export function appraisalPolicyOf(manifest: Manifest | undefined): AppraisalPolicy {
  if (manifest === undefined) return {};
  const { roots, minTcbEvaluationDataNumber: lowest } = manifest.evidence;
  const accepted = acceptedStatuses(manifest);
  return {
    roots: roots === 'hardware' ? 'hardware' : 'simulated',
    tcb: {
      ...(accepted.length === 0 ? {} : { accepted }),
      ...(lowest === undefined ? {} : { minEvaluationDataNumber: lowest }),
    },
  };
}

/** Statuses that some identity names; an identity that names none keeps the library's own. */
function acceptedStatuses({ services }: Manifest): readonly TcbStatus[] {
  const identities = Object.values(services).flatMap(({ identity }) => identity.anyOf);
  const named = identities
    .map((one) => (one.tee === 'azure-cvm' ? one.paravisor : one))
    .flatMap((one) => (one.tee === 'sgx' || one.tee === 'tdx' ? (one.tcb ?? DEFAULT) : []));
  return [...new Set(named)].toSorted();
}

const DEFAULT: readonly TcbStatus[] = ['UpToDate', 'SWHardeningNeeded'];
