import {
  decodeUtf8,
  encodeHex,
  encodeUtf8,
  MalformedError,
  sliceJsonMember,
} from '@cloister/bytes';
import { parseCertificateChain, parseCrl, type Crl } from '@cloister/crypto';
import { importSpki, isIssuedBy, type Issuer } from '../intel/certificates.ts';
import type { TrustAnchor } from '../intel/collateral.ts';
import { WEB_CRYPTO } from '../intel/evidence-crypto.ts';
import { Refusal } from '../intel/progress.ts';
import { parseQeIdentity, type QeIdentity } from '../intel/qe-identity.ts';
import { verifySignedDocument, type DocumentKind } from '../intel/signed-document.ts';
import { parseTcbInfo, type TcbInfo } from '../intel/tcb-info.ts';
import { verifyCrl } from '../intel/verified-crl.ts';
import {
  documentName,
  type CollateralDocument,
  type DocumentDates,
  type DocumentId,
} from './document.ts';
import { parseEvaluationNumbers, splitEvaluationNumbers } from './evaluation-numbers.ts';
import { findPckCa, findRoot } from './intel-issuers.ts';

const TCB_INFO: DocumentKind<TcbInfo> = {
  member: 'tcbInfo',
  name: 'TCB info',
  signature: 'tcbinfo.signature',
  invalid: 'tcbinfo.invalid',
  parse: parseTcbInfo,
};
const QE_IDENTITY: DocumentKind<QeIdentity> = {
  member: 'enclaveIdentity',
  name: 'QE identity',
  signature: 'qeid.signature',
  invalid: 'qeid.mismatch',
  parse: parseQeIdentity,
};
/** Intel's documents. */
export type IntelDocumentId = Exclude<
  DocumentId,
  { kind: 'vcek' } | { kind: 'amd-chain' } | { kind: 'amd-crl' }
>;

/**
 * Takes a document in: it is the one that was asked for, and Intel signed it. Throws Refusal or
 * MalformedError where it is not. What nobody signed gets into no cache; dates are not judged, for
 * that is the verifier's. A CRL that was served without its issuer's chain is only read: it cannot
 * be judged before the PCK CA is there.
 */
export async function acceptIntel(
  id: IntelDocumentId,
  { body, chain }: CollateralDocument,
  anchors: readonly TrustAnchor[],
): Promise<DocumentDates> {
  const name = documentName(id);
  if (id.kind === 'pck-crl') {
    const crl = parseCrl(body, name);
    const ca = id.ca === 'platform' ? 'Platform' : 'Processor';
    if (crl.issuerCommonName?.includes(ca) !== true) wrong(name);
    if (chain !== undefined) await verifyCrl(body, await findPckCa(chain, anchors), name);
    return crlDates(crl);
  }
  if (id.kind === 'root-ca-crl') {
    const crl = parseCrl(body, name);
    if (crl.issuerCommonName?.includes('Root CA') !== true) wrong(name);
    const root = await rootOf(crl, anchors);
    if (root !== undefined) await verifyCrl(body, root, name);
    return crlDates(crl);
  }
  const text = decodeUtf8(body, name);
  if (chain === undefined) throw new MalformedError('truncated', `${name}: issuer chain`);
  if (id.kind === 'evaluation-numbers') {
    return acceptEvaluationNumbers(id.tee, text, chain, anchors);
  }
  const root = await findRoot(chain, anchors);
  if (id.kind === 'tcb-info') {
    const { document } = await verifySignedDocument(text, chain, root, TCB_INFO, WEB_CRYPTO);
    if (document.tee !== id.tee || encodeHex(document.fmspc) !== id.fmspc) wrong(name);
    return datesOf(document);
  }
  const { document } = await verifySignedDocument(text, chain, root, QE_IDENTITY, WEB_CRYPTO);
  if (document.id !== (id.tee === 'sgx' ? 'QE' : 'TD_QE')) wrong(name);
  return datesOf(document);
}

/** As `verifySignedDocument`, for the list of numbers, by which no quote is ever judged. */
async function acceptEvaluationNumbers(
  tee: 'sgx' | 'tdx',
  text: string,
  chain: string,
  anchors: readonly TrustAnchor[],
): Promise<DocumentDates> {
  const name = 'TCB evaluation data numbers';
  const root = await findRoot(chain, anchors);
  const { signature, member } = splitEvaluationNumbers(text);
  const signed = encodeUtf8(sliceJsonMember(text, member, name));
  for (const signer of parseCertificateChain(chain, `${name} chain`)) {
    if (signer.subjectCommonName?.includes('SGX TCB Signing') !== true) continue;
    if (!(await isIssuedBy(signer, root))) continue;
    const key = await importSpki(signer.spki, `${name} signer`, WEB_CRYPTO, 'tcbinfo.signature');
    if (!(await key.verify(signature, signed))) break;
    const numbers = parseEvaluationNumbers(text);
    if (numbers.tee !== tee) wrong(name);
    return { issued: numbers.issueDate, nextUpdate: numbers.nextUpdate };
  }
  throw new Refusal('tcbinfo.signature', `${name}: signature`);
}

/** The root with the CRL's own name: a digest alone gives no key, and the CRL is then only read. */
async function rootOf(crl: Crl, anchors: readonly TrustAnchor[]): Promise<Issuer | undefined> {
  const anchor = anchors.find((one) => 'spki' in one);
  if (anchor === undefined || !('spki' in anchor)) return undefined;
  const key = await importSpki(anchor.spki, 'root key', WEB_CRYPTO, 'crl.signature');
  return { name: crl.issuer, spki: anchor.spki, key };
}

function datesOf(document: TcbInfo | QeIdentity): DocumentDates {
  return {
    issued: document.issueDate,
    nextUpdate: document.nextUpdate,
    evaluationNumber: document.tcbEvaluationDataNumber,
  };
}

function crlDates({ thisUpdate: issued, nextUpdate }: Crl): DocumentDates {
  return { issued, ...(nextUpdate === undefined ? {} : { nextUpdate }) };
}

function wrong(name: string): never {
  throw new MalformedError('bad_value', `${name}: not the one that was asked for`);
}
