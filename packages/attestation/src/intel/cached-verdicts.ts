import {
  concatBytes,
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

/** SHA-256 of three contents, lower hex: their names in the cache. */
export function digestAll(
  { crypto }: VerdictSource,
  [a, b, c]: readonly [Bytes, Bytes, Bytes],
): Promise<[string, string, string]> {
  const digest = async (content: Bytes) => encodeHex(await crypto.sha256(content));
  return Promise.all([digest(a), digest(b), digest(c)]);
}

/** The bytes of the PCK chain: in the quote, or (certification data 1 to 4) from collateral. */
export function pckChainBytes(quote: Quote, pckChain: string | undefined): Bytes {
  const { type, data } = quote.certificationData;
  if (type === 5) return data;
  if (pckChain !== undefined) return encodeUtf8(pckChain);
  throw new Refusal('pck.chain', `PCK chain: neither in the quote (type ${type}) nor given`);
}

/** The verified PCK chain of a quote. */
export async function pckChainOf(
  quote: Quote,
  pem: Bytes,
  id: string,
  anchors: readonly TrustAnchor[],
  { cache, crypto }: VerdictSource,
): Promise<VerifiedPckChain> {
  let chain = cache.pckChains.get(id);
  if (chain === undefined || !isFoundAmong(chain.intermediate, anchors)) {
    chain = await verifyPckChain(decodeUtf8(pem, 'PCK chain'), anchors, crypto, cache.pckCas);
    cache.pckChains.set(id, chain);
  }
  checkLeafInQuote(quote, chain);
  return chain;
}

/** Certification data of type 4 are the PCK certificate, PEM or DER: the chain must be its. */
function checkLeafInQuote(quote: Quote, { leaf }: VerifiedPckChain): void {
  const { type, data } = quote.certificationData;
  if (type !== 4) return;
  const der = data[0] === 0x2d ? decodePem(decodeUtf8(data, 'PCK'), 'CERTIFICATE', 'PCK')[0] : data;
  if (der === undefined || !equalBytes(der, leaf.der)) {
    throw new Refusal('pck.chain', 'PCK chain given is not that of the quote');
  }
}

/** A CRL verified with the key of this CA. */
export async function crlOf(
  der: Bytes,
  id: string,
  issuer: Issuer,
  name: string,
  { cache }: VerdictSource,
): Promise<VerifiedCrl> {
  const known = cache.crls.get(id);
  if (known !== undefined && isSameIssuer(known.verifiedWith, issuer)) return known;
  const crl = await verifyCrl(der, issuer, name);
  cache.crls.set(id, crl);
  return crl;
}

function isSameIssuer(a: Issuer, b: Issuer): boolean {
  return a === b || (equalBytes(a.spki, b.spki) && equalBytes(a.name, b.name));
}

/** A document verified under this root; the whole text is its name in the cache. */
export async function documentOf<Document>(
  text: string,
  chain: string,
  root: Issuer,
  kind: DocumentKind<Document>,
  cache: Lru<SignedDocument<Document>>,
  crypto: EvidenceCrypto,
): Promise<SignedDocument<Document>> {
  const known = cache.get(text);
  if (known?.chain === chain && isSameIssuer(known.root, root)) return known;
  const document = await verifySignedDocument(text, chain, root, kind, crypto);
  cache.set(text, document);
  return document;
}

/** The attestation key's place in the cache: all that a QE and its platform said about it. */
export async function attestationKeyId(
  quote: Quote,
  { leaf }: VerifiedPckChain,
  { crypto }: VerdictSource,
): Promise<string> {
  // Every part but the last has a fixed length, or lies in a signature's reach by its own length.
  const parts = [quote.attestationKey, quote.qeReport, quote.qeReportSignature, leaf.spki];
  return encodeHex(await crypto.sha256(concatBytes(...parts, quote.qeAuthData)));
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
  crypto: EvidenceCrypto,
): Promise<VerifiedAttestationKey> {
  const qeReport = parseEnclaveReport(quote.qeReport, 'QE report');
  const digest = await crypto.sha256(concatBytes(quote.attestationKey, quote.qeAuthData));
  const expected = concatBytes(digest, new Uint8Array(32));
  if (!equalBytes(qeReport.reportData, expected)) {
    throw new Refusal('qereport.data', 'QE report does not name this attestation key');
  }
  const key = await crypto.importP256(quote.attestationKey);
  if (key === undefined) throw new Refusal('quote.signature', 'attestation key is off the curve');
  return { key, qeReport };
}
