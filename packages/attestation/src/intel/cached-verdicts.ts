import {
  concatBytes,
  copyBytes,
  decodePem,
  decodeUtf8,
  encodeHex,
  encodeUtf8,
  equalBytes,
  type Bytes,
} from '@cloister/bytes';
import type { Issuer } from './certificates.ts';
import type { TrustAnchor } from './collateral.ts';
import { parseEnclaveReport } from './enclave-report.ts';
import type { EvidenceCrypto } from './evidence-crypto.ts';
import type { Lru } from './lru.ts';
import { isFoundAmong, verifyPckChain, type VerifiedPckChain } from './pck-chain.ts';
import type { Quote } from './quote.ts';
import { Refusal } from './progress.ts';
import { verifySignedDocument, type DocumentKind, type SignedDocument } from './signed-document.ts';
import type { VerificationCache, VerifiedAttestationKey } from './verification-cache.ts';
import { verifyCrl, type VerifiedCrl } from './verified-crl.ts';

/** With what verdicts on signatures are made, and where they are kept. */
export interface VerdictSource {
  readonly cache: VerificationCache;
  readonly crypto: EvidenceCrypto;
}

/** The bytes of the PCK chain: in the quote, or (certification data 1 to 4) from collateral. */
export function pckChainBytes(quote: Quote, pckChain: string | undefined): Bytes {
  const { type, data } = quote.certificationData;
  if (type === 5) return data;
  if (pckChain !== undefined) return encodeUtf8(pckChain);
  throw new Refusal('pck.chain', `PCK chain: neither in the quote (type ${type}) nor given`);
}

/** A PCK chain that was verified with these anchors before. */
export function keptPckChain(
  pem: Bytes,
  anchors: readonly TrustAnchor[],
  { cache, crypto }: VerdictSource,
): VerifiedPckChain | undefined {
  const chain = cache.pckChains.get(pem, crypto.equal);
  return chain !== undefined && isFoundAmong(chain.intermediate, anchors) ? chain : undefined;
}

/** Verifies a PCK chain, and keeps it. */
export async function newPckChain(
  pem: Bytes,
  anchors: readonly TrustAnchor[],
  { cache, crypto }: VerdictSource,
): Promise<VerifiedPckChain> {
  const content = copyBytes(pem);
  const chain = await verifyPckChain(decodeUtf8(content, 'PCK chain'), anchors, crypto, cache);
  cache.pckChains.set(content, chain);
  return chain;
}

/** Certification data of type 4 are the PCK certificate, PEM or DER: the chain must be its. */
export function checkLeafInQuote(quote: Quote, { leaf }: VerifiedPckChain): void {
  const { type, data } = quote.certificationData;
  if (type !== 4) return;
  const der = data[0] === 0x2d ? decodePem(decodeUtf8(data, 'PCK'), 'CERTIFICATE', 'PCK')[0] : data;
  if (der === undefined || !equalBytes(der, leaf.der)) {
    throw new Refusal('pck.chain', 'PCK chain given is not that of the quote');
  }
}

/** A CRL that was verified with the key of this CA before. */
export function keptCrl(
  der: Bytes,
  issuer: Issuer,
  { cache, crypto }: VerdictSource,
): VerifiedCrl | undefined {
  const known = cache.crls.get(der, crypto.equal);
  return known !== undefined && isSameIssuer(known.verifiedWith, issuer) ? known : undefined;
}

/** Verifies a CRL with the key of this CA, and keeps it. */
export async function newCrl(
  der: Bytes,
  issuer: Issuer,
  name: string,
  { cache }: VerdictSource,
): Promise<VerifiedCrl> {
  const crl = await verifyCrl(der, issuer, name);
  cache.crls.set(crl.der, crl);
  return crl;
}

function isSameIssuer(a: Issuer, b: Issuer): boolean {
  return a === b || (equalBytes(a.spki, b.spki) && equalBytes(a.name, b.name));
}

/** A document that was verified under this root before; the whole text is its name in the cache. */
export function keptDocument<Document>(
  text: string,
  chain: string,
  root: Issuer,
  kept: Lru<SignedDocument<Document>>,
): SignedDocument<Document> | undefined {
  const known = kept.get(text);
  return known?.chain === chain && isSameIssuer(known.root, root) ? known : undefined;
}

/** Verifies a document under this root, and keeps it. */
export async function newDocument<Document>(
  text: string,
  chain: string,
  root: Issuer,
  kind: DocumentKind<Document>,
  kept: Lru<SignedDocument<Document>>,
  crypto: EvidenceCrypto,
): Promise<SignedDocument<Document>> {
  const document = await verifySignedDocument(text, chain, root, kind, crypto);
  kept.set(text, document);
  return document;
}

/** An attestation key for which a QE vouched, in these very bytes, under this PCK key before. */
export function keptAttestationKey(
  { endorsement }: Quote,
  { leaf }: VerifiedPckChain,
  { cache, crypto }: VerdictSource,
): VerifiedAttestationKey | undefined {
  const known = cache.attestationKeys.get(endorsement, crypto.equal);
  return known !== undefined && equalBytes(known.pckSpki, leaf.spki) ? known : undefined;
}

/** Verifies the QE report with the PCK key (spec/evidence.md 4.G). */
export async function verifyQeReport(quote: Quote, { leafKey }: VerifiedPckChain): Promise<void> {
  if (!(await leafKey.verify(quote.qeReportSignature, quote.qeReport))) {
    throw new Refusal('qereport.signature', 'QE report is not signed by the PCK key');
  }
}

/** Checks that the QE report names the attestation key, imports it (spec/evidence.md 4.H), keeps it. */
export async function newAttestationKey(
  quote: Quote,
  { leaf }: VerifiedPckChain,
  { cache, crypto }: VerdictSource,
): Promise<VerifiedAttestationKey> {
  const endorsement = copyBytes(quote.endorsement);
  const start = quote.qeReport.byteOffset - quote.endorsement.byteOffset;
  const report = endorsement.subarray(start, start + quote.qeReport.length);
  const qeReport = parseEnclaveReport(report, 'QE report');
  const digest = await crypto.sha256Hex(concatBytes(quote.attestationKey, quote.qeAuthData));
  if (encodeHex(qeReport.reportData) !== digest.padEnd(128, '0')) {
    throw new Refusal('qereport.data', 'QE report does not name this attestation key');
  }
  const key = await crypto.importP256(quote.attestationKey);
  if (key === undefined) throw new Refusal('quote.signature', 'attestation key is off the curve');
  const verified = { key, pckSpki: leaf.spki, qeReport };
  cache.attestationKeys.set(endorsement, verified);
  return verified;
}
