import type { Check, Verification } from '@cloister/attestation';
import {
  DER,
  DerReader,
  decodeHex,
  encodeDer,
  encodeHex,
  equalBytes,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';
import {
  parseCertificate,
  readAlternativeNames,
  verifyPath,
  type Certificate,
  type ExtensionInput,
} from '@cloister/crypto';
import type { VerifiedAuthorities } from './broker-certificates.ts';

/**
 * The extension with the id of the manifest under which a certificate was given. Its arc is X.667's
 * for identifiers that nobody hands out; ours was drawn at random from what fits a JSON number.
 */
const MANIFEST_EXTENSION = '2.25.2590828859057175';
/** A day, and how far the start lies back. */
const LONGEST_MS = 24 * 3_600_000 + 5 * 60_000;

/** How a certificate names a service of a deployment (spec/key-broker.md 5.2). */
export function serviceUri(deployment: string, service: string): string {
  return `cloister://${deployment}/${service}`;
}

/** The extension that names a manifest by its id, lower hex. */
export function manifestExtension(id: string): ExtensionInput {
  const value = encodeDer(DER.OCTET_STRING, decodeHex(id, 'manifest id'));
  return { oid: MANIFEST_EXTENSION, value };
}

/** What a certificate that was verified says. */
export interface ServiceCertificate {
  readonly certificate: Certificate;
  readonly service: string;
  /** Id of the manifest under which it was given. */
  readonly manifest: string;
}

/** What a certificate must be. */
export interface ServiceCertificateTrust {
  readonly authorities: VerifiedAuthorities;
  readonly service: string;
  readonly at: Date;
  /** The key that it must certify. */
  readonly spki?: Bytes | undefined;
  /** The manifest under which it must have been given; any, where absent. */
  readonly manifest?: string | undefined;
}

/**
 * Verifies a service's certificate: by an authority that counts now, for this service of the
 * deployment, for a day at most. The authority says that the key was attested when it was given.
 */
export async function verifyServiceCertificate(
  der: Uint8Array,
  { authorities, service, at, spki, manifest }: ServiceCertificateTrust,
): Promise<Verification<ServiceCertificate>> {
  const checks: Check[] = [];
  const expect = (check: string, passed: boolean, code: string): boolean => {
    checks.push(passed ? { check, outcome: 'passed' } : { check, outcome: 'failed', code });
    return passed;
  };
  const refuse = (code: string): Verification<never> => ({ ok: false, code, checks });

  const read = readCertificate(der);
  if (!expect('form of the certificate', read !== undefined, 'certificate_malformed') || !read)
    return refuse('certificate_malformed');
  const { certificate, uris, manifestId } = read;
  const issuer = await issuedBy(certificate, authorities, at);
  const code = issuer === true ? '' : issuer;
  if (!expect('issued by an authority of the broker', issuer === true, code)) return refuse(code);
  const uri = serviceUri(authorities.deployment, service);
  const named = uris.length === 1 && uris[0] === uri;
  if (!expect('named for this service', named, 'certificate_of_another'))
    return refuse('certificate_of_another');
  const life = certificate.notAfter.getTime() - certificate.notBefore.getTime();
  if (!expect('for a day at most', life <= LONGEST_MS, 'certificate_too_long'))
    return refuse('certificate_too_long');
  const under = manifest === undefined || manifest === manifestId;
  if (!expect('given under the manifest', under, 'manifest_mismatch'))
    return refuse('manifest_mismatch');
  const ours = spki === undefined || equalBytes(spki, certificate.spki);
  if (!expect('certifies the key', ours, 'certificate_of_another_key'))
    return refuse('certificate_of_another_key');
  return { ok: true, claims: { certificate, service, manifest: manifestId }, checks };
}

interface ReadCertificate {
  readonly certificate: Certificate;
  readonly uris: readonly string[];
  readonly manifestId: string;
}

function readCertificate(der: Uint8Array): ReadCertificate | undefined {
  try {
    const certificate = parseCertificate(der, 'service certificate');
    const { uris } = readAlternativeNames(certificate.extensions);
    const value = certificate.extensions.get(MANIFEST_EXTENSION)?.value ?? new Uint8Array(0);
    const reader = new DerReader(value, 'manifest extension');
    const id = reader.expect(DER.OCTET_STRING).value;
    reader.end();
    return { certificate, uris, manifestId: encodeHex(id) };
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** True, or why no authority issued it. */
async function issuedBy(
  certificate: Certificate,
  { certificates }: VerifiedAuthorities,
  at: Date,
): Promise<true | string> {
  for (const authority of certificates) {
    if (!equalBytes(authority.subject, certificate.issuer)) continue;
    const [problem] = await verifyPath([certificate], {
      at,
      anchorName: authority.subject,
      anchorSpki: authority.spki,
    });
    if (problem === undefined) return true;
    if (problem.code !== 'bad_signature') return `certificate_${problem.code}`;
  }
  return 'certificate_foreign';
}
