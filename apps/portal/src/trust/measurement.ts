import { encodeHex } from '@cloister/bytes';
import type { EvidenceEnvelope, Identity, TrustedManifest } from '@cloister/attestation';
import type { Measurement } from './gate-report.ts';

/** Place of MRENCLAVE in an SGX quote v3 (spec/evidence.md 1.3). */
const MRENCLAVE = { start: 112, end: 144 };

/**
 * What was agreed and what was measured. Where verification failed, the measurement is read from
 * the unverified quote, to show the difference: it is evidence of nothing.
 */
export function measurementOf(
  manifest: TrustedManifest,
  source: { readonly tee: string; readonly mrenclave?: string } | EvidenceEnvelope | undefined,
): Measurement {
  const identities = manifest.manifest.services['records']?.identity.anyOf ?? [];
  const agreed = identities.flatMap(measurementsOf);
  if (source === undefined) return { agreed, measured: undefined };
  if ('evidence' in source) {
    const sgx = source.format === 'sgx-quote' || source.format === 'simulated-sgx-quote';
    const long = source.evidence.length >= MRENCLAVE.end;
    const bytes = source.evidence.subarray(MRENCLAVE.start, MRENCLAVE.end);
    return { agreed, measured: sgx && long ? encodeHex(bytes) : undefined };
  }
  return { agreed, measured: identityOf(source) };
}

function identityOf(claims: {
  readonly tee: string;
  readonly pcrs?: Readonly<Record<string, string>>;
}): string | undefined {
  if (claims.tee === 'azure-cvm') return claims.pcrs?.['4'];
  const name = { sgx: 'mrenclave', tdx: 'mrtd', snp: 'measurement' }[claims.tee];
  const value =
    name === undefined ? undefined : Object.entries(claims).find(([key]) => key === name);
  return typeof value?.[1] === 'string' ? value[1] : undefined;
}

function measurementsOf(identity: Identity): readonly string[] {
  if (identity.tee === 'sgx') return identity.mrenclave;
  if (identity.tee === 'snp') return identity.measurement;
  // Of a confidential VM of Azure the boot loader or unified kernel image stands for the code.
  return identity.tee === 'tdx' ? identity.mrtd : [identity.pcrs['4'] ?? ''];
}
