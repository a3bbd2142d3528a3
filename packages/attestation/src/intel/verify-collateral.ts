import {
  checkLeafInQuote,
  keptCrl,
  keptDocument,
  keptPckChain,
  newCrl,
  newDocument,
  newPckChain,
  pckChainBytes,
  type VerdictSource,
} from './cached-verdicts.ts';
import type { VerifiedPckChain } from './pck-chain.ts';
import type { Progress } from './progress.ts';
import { parseQeIdentity, type QeIdentity } from './qe-identity.ts';
import type { IntelQuoteOptions } from './quote-options.ts';
import type { Quote } from './quote.ts';
import type { DocumentKind } from './signed-document.ts';
import { parseTcbInfo, type TcbInfo } from './tcb-info.ts';
import type { Validity } from './validity.ts';
import { checkNotRevoked } from './verified-crl.ts';

/** Collateral that verified for one quote, at one time. */
export interface VerifiedCollateral {
  readonly chain: VerifiedPckChain;
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
}

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

/**
 * Steps B to D of spec/evidence.md 4: PCK chain, CRLs, TCB info and QE identity, all under one and
 * the same root. Signature verdicts may come from the cache; revocation and dates never do.
 */
export async function verifyCollateral(
  quote: Quote,
  { collateral, anchors }: IntelQuoteOptions,
  source: VerdictSource,
  validity: Validity,
  progress: Progress,
): Promise<VerifiedCollateral> {
  const { cache, crypto } = source;
  progress.begin('PCK chain leads to a trusted root');
  const pem = pckChainBytes(quote, collateral.pckChain);
  const { rootCaCrl, pckCrl } = collateral;
  const chain = keptPckChain(pem, anchors, source) ?? (await newPckChain(pem, anchors, source));
  checkLeafInQuote(quote, chain);
  const { leaf, intermediate } = chain;
  const { root } = intermediate;

  progress.begin('root CA CRL is by the root');
  const rootCrl =
    keptCrl(rootCaCrl, root, source) ?? (await newCrl(rootCaCrl, root, 'root CA CRL', source));
  progress.begin('PCK CRL is by the PCK CA');
  const leafCrl =
    keptCrl(pckCrl, intermediate, source) ??
    (await newCrl(pckCrl, intermediate, 'PCK CRL', source));
  progress.begin('PCK CA is not revoked');
  checkNotRevoked(intermediate.certificate, rootCrl, 'PCK CA', 'pckca.revoked');
  progress.begin('PCK certificate is not revoked');
  checkNotRevoked(leaf, leafCrl, 'PCK certificate', 'pck.revoked');
  progress.begin('CRLs are in date');
  validity.check(rootCrl.thisUpdate, rootCrl.nextUpdate, 'root CA CRL', 'crl.expired');
  validity.check(leafCrl.thisUpdate, leafCrl.nextUpdate, 'PCK CRL', 'crl.expired');
  progress.begin('PCK chain is in date');
  const ca = intermediate.certificate;
  validity.check(ca.notBefore, ca.notAfter, 'PCK CA certificate', 'pck.expired');
  validity.check(leaf.notBefore, leaf.notAfter, 'PCK certificate', 'pck.expired');

  progress.begin('TCB info is signed');
  const { tcbInfo: tcbText, tcbInfoChain } = collateral;
  const { tcbInfos, qeIdentities } = cache;
  const tcb =
    keptDocument(tcbText, tcbInfoChain, root, tcbInfos) ??
    (await newDocument(tcbText, tcbInfoChain, root, TCB_INFO, tcbInfos, crypto));
  progress.begin('TCB info signer is not revoked');
  checkNotRevoked(tcb.signer, rootCrl, 'TCB info signer', 'tcbsigner.revoked');
  progress.begin('TCB info is in date');
  const { signer: tcbSigner, document: tcbInfo } = tcb;
  validity.check(tcbSigner.notBefore, tcbSigner.notAfter, 'TCB info signer', 'tcbinfo.expired');
  validity.check(tcbInfo.issueDate, tcbInfo.nextUpdate, 'TCB info', 'tcbinfo.expired');

  progress.begin('QE identity is signed');
  const { qeIdentity: qeText, qeIdentityChain } = collateral;
  const qe =
    keptDocument(qeText, qeIdentityChain, root, qeIdentities) ??
    (await newDocument(qeText, qeIdentityChain, root, QE_IDENTITY, qeIdentities, crypto));
  progress.begin('QE identity signer is not revoked');
  checkNotRevoked(qe.signer, rootCrl, 'QE identity signer', 'tcbsigner.revoked');
  progress.begin('QE identity is in date');
  const { signer: qeSigner, document: qeIdentity } = qe;
  validity.check(qeSigner.notBefore, qeSigner.notAfter, 'QE identity signer', 'qeid.expired');
  validity.check(qeIdentity.issueDate, qeIdentity.nextUpdate, 'QE identity', 'qeid.expired');
  return { chain, tcbInfo, qeIdentity };
}
