import type { Manifest, TrustedManifest } from '@cloister/attestation';
import { MalformedError } from '@cloister/bytes';
import { parseReceipt, type ModelView, type Receipt, type ResultEvidence } from '@cloister/client';

/** What a fact of a result is worth when compared with the agreement. */
export type Mark = 'as-agreed' | 'not-as-agreed' | 'current' | 'older' | 'none';

/** One line of the evidence of a result. */
export interface EvidenceFact {
  readonly id:
    | 'modelDigest'
    | 'measurement'
    | 'manifest'
    | 'evidenceDigest'
    | 'inputDigest'
    | 'outputDigest'
    | 'requestId';
  readonly value: string;
  readonly mark: Mark;
}

/** The evidence of a result, as the browser compares it. */
export interface ReadEvidence {
  readonly facts: readonly EvidenceFact[];
  readonly simulated: boolean | undefined;
  readonly receipt: Receipt | undefined;
}

/**
 * Compares what is stored with a result with the manifest in force. Under an earlier manifest
 * other models and measurements may have been agreed: then only "an earlier one" is said.
 */
export function readEvidence(
  evidence: ResultEvidence,
  model: ModelView | undefined,
  { id, manifest }: TrustedManifest,
): ReadEvidence {
  const receipt = receiptOf(evidence);
  const fact = (name: string): string | undefined => {
    const value = evidence.facts[name];
    return typeof value === 'string' ? value : undefined;
  };
  const manifestId = fact('manifest') ?? receipt?.manifest;
  const current = manifestId === id;
  const mark = (agreed: boolean): Mark =>
    !current ? 'none' : agreed ? 'as-agreed' : 'not-as-agreed';
  const modelDigest = receipt?.modelDigest ?? fact('modelDigest');
  const measurement = fact('measurement');
  const lines: (EvidenceFact | undefined)[] = [
    line('modelDigest', modelDigest, (value) =>
      mark(modelDigests(manifest, model).includes(value)),
    ),
    line('measurement', measurement, (value) => mark(measurements(manifest).includes(value))),
    line('manifest', manifestId, () => (current ? 'current' : 'older')),
    line('evidenceDigest', fact('evidenceDigest') ?? receipt?.evidenceDigest, () => 'none'),
    line('inputDigest', receipt?.inputDigest, () => 'none'),
    line('outputDigest', receipt?.outputDigest, () => 'none'),
    line('requestId', receipt?.requestId, () => 'none'),
  ];
  const stated = evidence.facts['simulated'];
  return {
    facts: lines.filter((one) => one !== undefined),
    simulated: receipt?.simulated ?? (typeof stated === 'boolean' ? stated : undefined),
    receipt,
  };
}

function line(
  id: EvidenceFact['id'],
  value: string | undefined,
  mark: (value: string) => Mark,
): EvidenceFact | undefined {
  return value === undefined ? undefined : { id, value, mark: mark(value) };
}

/** A receipt that cannot be read is shown as it is, without its members. */
function receiptOf({ receipt }: ResultEvidence): Receipt | undefined {
  if (receipt === undefined) return undefined;
  try {
    return parseReceipt(receipt);
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

function modelDigests({ models = {} }: Manifest, model: ModelView | undefined): string[] {
  const versions = model === undefined ? Object.values(models) : [models[model.name] ?? {}];
  return versions.flatMap((one) => Object.values(one).map(({ digest }) => digest));
}

function measurements({ services }: Manifest): string[] {
  return (services['inference']?.identity.anyOf ?? []).flatMap((identity) => {
    if (identity.tee === 'sgx') return identity.mrenclave;
    if (identity.tee === 'snp') return identity.measurement;
    return identity.tee === 'tdx' ? identity.mrtd : [identity.pcrs['4'] ?? ''];
  });
}
