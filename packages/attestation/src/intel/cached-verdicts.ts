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

type Digests = readonly [string, string, string];

/** With what verdicts on signatures are made, and where they are kept. */
export interface VerdictSource {
  readonly cache: VerificationCache;
  readonly crypto: EvidenceCrypto;
}

/** SHA-256 of three contents: their names in the cache. All at once, where each takes a while. */
export function digestAll(
  { crypto }: VerdictSource,
  [a, b, c]: readonly [Bytes, Bytes, Bytes],
): Digests | Promise<Digests> {
  const [x, y, z] = [crypto.sha256Hex(a), crypto.sha256Hex(b), crypto.sha256Hex(c)];
  const known = typeof x === 'string' && typeof y === 'string' && typeof z === 'string';
  return known ? [x, y, z] : Promise.all([x, y, z]);
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
  id: string,
  anchors: readonly TrustAnchor[],
  { cache }: VerdictSource,
): VerifiedPckChain | undefined {
  const chain = cache.pckChains.get(id);
  return chain !== undefined && isFoundAmong(chain.intermediate, anchors) ? chain : undefined;
}

/** Verifies a PCK chain, and keeps it. */
export async function newPckChain(
  pem: Bytes,
  id: string,
  anchors: readonly TrustAnchor[],
  { cache, crypto }: VerdictSource,
): Promise<VerifiedPckChain> {
  const chain = await verifyPckChain(decodeUtf8(pem, 'PCK chain'), anchors, crypto, cache);
  cache.pckChains.set(id, chain);
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
  id: string,
  issuer: Issuer,
  { cache }: VerdictSource,
): VerifiedCrl | undefined {
  const known = cache.crls.get(id);
  return known !== undefined && isSameIssuer(known.verifiedWith, issuer) ? known : undefined;
}

/** Verifies a CRL with the key of this CA, and keeps it. */
export async function newCrl(
  der: Bytes,
  id: string,
  issuer: Issuer,
  name: string,
  { cache }: VerdictSource,
): Promise<VerifiedCrl> {
  const crl = await verifyCrl(der, issuer, name);
  cache.crls.set(id, crl);
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
  id: string,
  { leaf }: VerifiedPckChain,
  { cache }: VerdictSource,
): VerifiedAttestationKey | undefined {
  const known = cache.attestationKeys.get(id);
  return known !== undefined && equalBytes(known.pckSpki, leaf.spki) ? known : undefined;
}

/** Verifies the QE report with the PCK key (spec/evidence.md 4.G). */
export async function verifyQeReport(quote: Quote, { leafKey }: VerifiedPckChain): Promise<void> {
  if (!(await leafKey.verify(quote.qeReportSignature, quote.qeReport))) {
    throw new Refusal('qereport.signature', 'QE report is not signed by the PCK key');
  }
}

/** Checks that the QE report names the attestation key, and imports it (spec/evidence.md 4.H). */
export async function importAttestationKey(
  quote: Quote,
  { leaf }: VerifiedPckChain,
  crypto: EvidenceCrypto,
): Promise<VerifiedAttestationKey> {
  const qeReport = parseEnclaveReport(copyBytes(quote.qeReport), 'QE report');
  const digest = await crypto.sha256Hex(concatBytes(quote.attestationKey, quote.qeAuthData));
  if (encodeHex(qeReport.reportData) !== digest.padEnd(128, '0')) {
    throw new Refusal('qereport.data', 'QE report does not name this attestation key');
  }
  const key = await crypto.importP256(quote.attestationKey);
  if (key === undefined) throw new Refusal('quote.signature', 'attestation key is off the curve');
  return { key, pckSpki: leaf.spki, qeReport };
}
