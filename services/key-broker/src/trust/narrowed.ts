import { canonicalJson, type JsonObject } from '@cloister/bytes';
import type { Identity, Manifest } from '@cloister/attestation';

/**
 * The services that may no longer be all that they might be before: an identity, one of its
 * measurements, or the sort of evidence is gone or was changed. What such a service knew, code that
 * is no longer admitted may know, so its keys are replaced (issue D, 3).
 */
export function narrowedServices(before: Manifest, after: Manifest): readonly string[] {
  const sameEvidence = textOf(before.evidence) === textOf(after.evidence);
  return Object.keys(before.services).filter((service) => {
    if (!sameEvidence) return true;
    const still = new Set(variantsOf(after, service));
    return variantsOf(before, service).some((variant) => !still.has(variant));
  });
}

/** Each identity once for each of its measurements: adding one to a list narrows nothing. */
function variantsOf({ services }: Manifest, service: string): string[] {
  const identities = services[service]?.identity.anyOf ?? [];
  return identities.flatMap((identity) => {
    const { name, values } = measurementsOf(identity);
    return values.map((value) => textOf({ ...identity, [name]: [value] }));
  });
}

function measurementsOf(identity: Identity): { name: string; values: readonly unknown[] } {
  if (identity.tee === 'sgx') return { name: 'mrenclave', values: identity.mrenclave };
  if (identity.tee === 'snp') return { name: 'measurement', values: identity.measurement };
  if (identity.tee === 'tdx') return { name: 'mrtd', values: identity.mrtd };
  // Its PCRs are fixed one by one: it has a single variant.
  return { name: 'tee', values: [identity.tee] };
}

function textOf(value: object): string {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- parts of a manifest are JSON
  return canonicalJson(value as JsonObject);
}
