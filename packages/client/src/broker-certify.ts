import {
  encodeEnvelope,
  type EvidenceSource,
  type TrustedManifest,
  type Verification,
} from '@cloister/attestation';
import { decodeBase64url, encodeBase64url, type Bytes } from '@cloister/bytes';
import { parseCertificationRequest } from '@cloister/crypto';
import { verifyCertificateAuthorities, type VerifiedAuthorities } from './broker-certificates.ts';
import {
  isRefusal,
  refusedVerification,
  type BrokerChannel,
  type BrokerRefusal,
} from './broker-channel.ts';
import { readAnswer, textOf } from './fields.ts';
import { verifyServiceCertificate, type ServiceCertificate } from './service-certificate.ts';

/** What a service asks for where it wants its key certified. */
export interface CertificateQuery {
  /** The party whose broker this is. */
  readonly party: string;
  /** The service that asks, as the manifest names it. */
  readonly service: string;
  readonly identity: Pick<EvidenceSource, 'evidence'>;
  /** A PKCS #10 request (DER) by the attested `sig` key, or by the TLS key that the evidence names. */
  readonly request: Bytes;
  /** For how long, 1 to 24; 24 unless told. */
  readonly hours?: number | undefined;
}

/** A certificate that was given, and the authorities by which relying parties judge it. */
export interface CertifiedKey extends ServiceCertificate {
  readonly authorities: VerifiedAuthorities;
}

/** Through what a broker is asked. */
export interface CertifyMeans {
  readonly manifest: TrustedManifest;
  readonly now: () => Date;
  readonly random: (length: number) => Bytes;
  readonly channel: BrokerChannel;
  readonly challenge: () => Promise<Bytes | BrokerRefusal>;
}

const NONCE_LENGTH = 32;

/** Has an attested key certified; see `BrokerClient.certify`. */
export async function certifyKey(
  query: CertificateQuery,
  { manifest, now, random, channel, challenge }: CertifyMeans,
): Promise<Verification<CertifiedKey>> {
  const { party, service, identity, hours = 24 } = query;
  const { spki } = parseCertificationRequest(query.request);
  const opened = await channel.open();
  if (!opened.ok) return opened;
  const challenged = await challenge();
  if ('status' in challenged) return refusedVerification(challenged);
  const nonce = random(NONCE_LENGTH);
  const answer = await channel.call('POST', '/v1/certificates', {
    evidence: encodeEnvelope(await identity.evidence(challenged)),
    csr: encodeBase64url(query.request),
    hours,
    nonce: encodeBase64url(nonce),
  });
  if (isRefusal(answer)) return refusedVerification(answer);
  const at = now();
  const { der, statement } = readAnswer('certificate', () => ({
    der: decodeBase64url(textOf(answer, 'certificate'), 'certificate'),
    statement: textOf(answer, 'authorities'),
  }));
  const known = await verifyCertificateAuthorities(statement, { manifest, party, nonce, at });
  if (!known.ok) return { ...known, checks: [...opened.checks, ...known.checks] };
  const authorities = known.claims;
  const trust = { authorities, service, at, spki, manifest: manifest.id };
  const verdict = await verifyServiceCertificate(der, trust);
  const checks = [...opened.checks, ...known.checks, ...verdict.checks];
  return verdict.ok
    ? { ok: true, claims: { ...verdict.claims, authorities }, checks }
    : { ...verdict, checks };
}
