import { encodeHex, equalBytes, MalformedError } from '@cloister/bytes';
import type { TrustAnchor } from '../intel/collateral.ts';
import { VerificationCache } from '../intel/verification-cache.ts';
import { verifyAmdCa, type VerifiedAmdCa } from '../snp/amd-ca.ts';
import { verifyAmdCrl } from '../snp/amd-crl.ts';
import type { SnpEndorsements } from '../snp/endorsements.ts';
import { vekIssuerName } from '../snp/product.ts';
import { WEB_SNP_CRYPTO } from '../snp/snp-crypto.ts';
import { isSameTcb } from '../snp/tcb.ts';
import { parseVek, verifyVek } from '../snp/vek.ts';
import type { CollateralDocument, DocumentDates, DocumentId } from './document.ts';
import { readAmdChain } from './kds-protocol.ts';

/** AMD's documents. */
export type AmdDocumentId = Extract<
  DocumentId,
  { kind: 'vcek' } | { kind: 'amd-chain' } | { kind: 'amd-crl' }
>;

/**
 * Takes a document of AMD's in: it is the one that was asked for, and a root that counts stands
 * above it. `issuers` gets the ASK and the ARK, PEM, which the others are verified with. Throws
 * Refusal or MalformedError where it is not: a certificate that is kept for ever must be right.
 */
export async function acceptAmd(
  id: AmdDocumentId,
  { body }: CollateralDocument,
  anchors: readonly TrustAnchor[],
  issuers: () => Promise<Uint8Array>,
): Promise<DocumentDates> {
  if (id.kind === 'amd-chain') {
    await verifyChain(body, id, anchors);
    return {};
  }
  if (id.kind === 'amd-crl') {
    const { root } = await verifyChain(await issuers(), id, anchors);
    const { thisUpdate: issued, nextUpdate } = await verifyAmdCrl(body, root);
    return { issued, nextUpdate };
  }
  const [ask, ark] = readAmdChain(await issuers());
  const vek = parseVek(body);
  const { kind, extensions } = vek;
  const chip = encodeHex(extensions.hwId ?? new Uint8Array());
  if (kind !== 'vcek' || !id.chipId.startsWith(chip) || !isSameTcb(extensions.tcb, id.tcb)) {
    throw new MalformedError('bad_value', 'VCEK: not of the chip and TCB asked for');
  }
  const chain = { vek: body, ask, ark };
  await verifyVek(vek, chain, anchors, WEB_SNP_CRYPTO, new VerificationCache());
  return {};
}

/** As `acceptAmd`, for a VLEK: it names no chip, and no server of AMD's hands it out. */
export async function acceptVlek(
  { vek, ask, ark }: SnpEndorsements,
  anchors: readonly TrustAnchor[],
): Promise<DocumentDates> {
  const chain = { vek, ask, ark };
  await verifyVek(parseVek(vek), chain, anchors, WEB_SNP_CRYPTO, new VerificationCache());
  return {};
}

async function verifyChain(
  pem: Uint8Array,
  { product, signer }: Extract<AmdDocumentId, { signer: unknown }>,
  anchors: readonly TrustAnchor[],
): Promise<VerifiedAmdCa> {
  const [ask, ark] = readAmdChain(pem);
  const ca = await verifyAmdCa(ask, ark, anchors, WEB_SNP_CRYPTO);
  const { subjectCommonName, issuer } = ca.certificate;
  const named = subjectCommonName === vekIssuerName(product, signer);
  const root = ca.root?.certificate;
  if (!named || root === undefined || !equalBytes(issuer, root.subject)) {
    throw new MalformedError('bad_value', 'ASK and ARK: of another product line');
  }
  return ca;
}
