import {
  concatBytes,
  DerReader,
  DER,
  encodePem,
  encodeUtf8,
  equalBytes,
  decodeHex,
  MalformedError,
  asBytes,
  Writer,
  type Bytes,
} from '@cloister/bytes';
import {
  parseCertificate,
  sha256,
  verifyCertificateSignature,
  type Certificate,
  type ExtensionInput,
} from '@cloister/crypto';
import { CheckList } from '../check-list.ts';
import type { EvidenceClaims } from '../claims.ts';
import { unwrapOpenEnclaveReport } from '../open-enclave/open-enclave-report.ts';
import { verifyEvidence, type EvidenceTrust } from '../evidence/verify-evidence.ts';
import type { Verification } from '../verification.ts';

/** Extension with an Open Enclave report (spec/azure-attestation.md 6). */
const REPORT = '1.3.6.1.4.1.311.105.1';
/** The one of 2020: an OCTET STRING around a bare SGX quote. */
const BARE_QUOTE = '1.2.840.113556.10.1.1';
/**
 * A report of simulated hardware, laid out as a real one. It stands in the arc for examples, which
 * belongs to nobody: no relying party of Azure Attestation's takes it for evidence.
 */
const SIMULATED_REPORT = '2.999.105.1';

/** What the certificate of an issuer's key proves. */
export interface SigningCertificate {
  /** The key that tokens are verified with: SubjectPublicKeyInfo. */
  readonly spki: Bytes;
  /** The enclave that holds the key; whether it is the right one is for the caller to say. */
  readonly claims: EvidenceClaims;
}

/**
 * The report data by which an enclave vouches for a signing key: SHA-256 of its PEM and a NUL,
 * then zeros. In base64, its first half is the key's `kid`.
 */
export async function signingKeyReportData(spki: Bytes): Promise<Bytes> {
  const reportData = new Uint8Array(64);
  reportData.set(await sha256(encodeUtf8(`${encodePem('PUBLIC KEY', spki)}\0`)));
  return reportData;
}

/** The certificate extension that carries the quote of the enclave with the key. */
export function signingQuoteExtension(
  quote: Uint8Array,
  format: 'sgx-quote' | 'simulated-sgx-quote',
): ExtensionInput {
  const header = new Writer().u32le(1).u32le(2).u64le(BigInt(quote.length));
  const oid = format === 'sgx-quote' ? REPORT : SIMULATED_REPORT;
  return { oid, value: concatBytes(header.finish(), quote) };
}

/**
 * Checks that an enclave holds the key of an issuer's certificate (spec/azure-attestation.md 6):
 * the certificate is the key's own and for this issuer, and carries evidence that names the key.
 */
export async function verifySigningCertificate(
  der: Uint8Array,
  { issuer, ...trust }: EvidenceTrust & { readonly issuer: string },
): Promise<Verification<SigningCertificate>> {
  const list = new CheckList();
  const certificate = read(() => parseCertificate(der, 'signing certificate'));
  if (!list.expect('certificate format', !!certificate, 'certificate_malformed') || !certificate)
    return list.refusal();
  const { spki, subjectCommonName, notBefore, notAfter } = certificate;
  const own = await verifyCertificateSignature(certificate, spki);
  list.expect('certificate is signed by its key', own, 'certificate_signature');
  list.expect('common name is the issuer', subjectCommonName === issuer, 'certificate_name');
  const inDate = notBefore <= trust.at && trust.at <= notAfter;
  list.expect('certificate is in date', inDate, 'certificate_expired');
  const found = read(() => findQuote(certificate));
  if (!list.expect('certificate carries evidence', !!found, 'certificate_no_evidence') || !found)
    return list.refusal();
  const { format, quote } = found;
  const verified = await verifyEvidence({ format, evidence: quote }, trust);
  list.include(verified.checks);
  if (!verified.ok) return list.refusal();
  const { claims } = verified;
  const named = equalBytes(decodeHex(claims.reportData), await signingKeyReportData(spki));
  list.expect('evidence names the key', named, 'certificate_key');
  return list.result({ spki, claims });
}

function findQuote({
  extensions,
}: Certificate): { format: 'sgx-quote' | 'simulated-sgx-quote'; quote: Bytes } | undefined {
  const report = extensions.get(REPORT)?.value;
  if (report !== undefined) return { format: 'sgx-quote', quote: unwrapOpenEnclaveReport(report) };
  const bare = extensions.get(BARE_QUOTE)?.value;
  if (bare !== undefined) {
    const reader = new DerReader(bare, 'service quote');
    const quote = asBytes(reader.expect(DER.OCTET_STRING).value);
    reader.end();
    return { format: 'sgx-quote', quote };
  }
  const simulated = extensions.get(SIMULATED_REPORT)?.value;
  return simulated && { format: 'simulated-sgx-quote', quote: unwrapOpenEnclaveReport(simulated) };
}

/** Undefined where something is malformed. */
function read<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return undefined;
  }
}
