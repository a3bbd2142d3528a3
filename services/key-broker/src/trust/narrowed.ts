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

function variantsOf({ services }: Manifest, service: string): string[] {
  const identities = services[service]?.identity.anyOf ?? [];
  return identities.flatMap(variants).map(textOf);
}

/**
 * An identity once for each of its measurements: adding one to a list narrows nothing. The PCRs of a
 * confidential VM of Azure are fixed one by one; of its paravisor several may be agreed on.
 */
function variants(identity: Identity): readonly Identity[] {
  if (identity.tee === 'sgx')
    return identity.mrenclave.map((value) => ({ ...identity, mrenclave: [value] }));
  if (identity.tee === 'snp')
    return identity.measurement.map((value) => ({ ...identity, measurement: [value] }));
  if (identity.tee === 'tdx') return identity.mrtd.map((value) => ({ ...identity, mrtd: [value] }));
  return variants(identity.paravisor).flatMap((paravisor) =>
    paravisor.tee === 'snp' || paravisor.tee === 'tdx' ? [{ ...identity, paravisor }] : [],
  );
}

function textOf(value: object): string {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- parts of a manifest are JSON
  return canonicalJson(value as JsonObject);
}
