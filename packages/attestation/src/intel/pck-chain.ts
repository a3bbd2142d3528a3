import { encodeHex, equalBytes, type Bytes } from '@cloister/bytes';
import { parseCertificateChain, type Certificate } from '@cloister/crypto';
import { checkIntelPath, importSpki, isIssuedBy, type Issuer } from './certificates.ts';
import { INTEL_ROOT, type TrustAnchor } from './collateral.ts';
import type { EvidenceCrypto, P256Key } from './evidence-crypto.ts';
import { parsePckExtension, SGX_EXTENSION_OID, type PckExtension } from './pck-extension.ts';
import { Refusal } from './progress.ts';

/** A PCK certificate whose chain leads to an anchor by its signatures; dates are not judged. */
export interface VerifiedPckChain {
  readonly leaf: Certificate;
  readonly leafKey: P256Key;
  readonly intermediate: Issuer & { readonly certificate: Certificate };
  /** The anchor: its key, with the name that the intermediate gives its issuer. */
  readonly root: Issuer;
  readonly extension: PckExtension;
  /** Whether the anchor is another key than Intel's. */
  readonly simulated: boolean;
}

/**
 * Verifies a chain of leaf, intermediate and root, in any order (spec/evidence.md 2.2). The root
 * certificate is dropped: the intermediate must verify with an anchor's own key.
 */
export async function verifyPckChain(
  pem: string,
  anchors: readonly TrustAnchor[],
  crypto: EvidenceCrypto,
): Promise<VerifiedPckChain> {
  const { leaf, intermediate, root } = findRoles(parseCertificateChain(pem, 'PCK chain'));
  checkIntelPath([leaf, intermediate], root.subject, 'PCK chain', 'pck.chain');
  if (intermediate.keyUsage?.has('cRLSign') !== true) {
    throw new Refusal('pck.chain', 'PCK CA certificate: may not sign CRLs');
  }
  const anchor = await findAnchor(intermediate, root, anchors, crypto);
  const ca = {
    certificate: intermediate,
    name: intermediate.subject,
    spki: intermediate.spki,
    key: await importSpki(intermediate.spki, 'PCK CA key', crypto, 'pck.chain'),
  };
  if (!(await isIssuedBy(leaf, ca))) {
    throw new Refusal('pck.chain', 'PCK certificate is not signed by the PCK CA');
  }
  const value = leaf.extensions.get(SGX_EXTENSION_OID)?.value;
  if (value === undefined) throw new Refusal('pck.chain', 'PCK certificate: no SGX extension');
  return {
    leaf,
    leafKey: await importSpki(leaf.spki, 'PCK key', crypto, 'pck.chain'),
    intermediate: ca,
    root: anchor,
    extension: parsePckExtension(value),
    simulated: !equalBytes(anchor.spki, INTEL_ROOT.spki),
  };
}

interface Roles {
  readonly leaf: Certificate;
  readonly intermediate: Certificate;
  readonly root: Certificate;
}

function findRoles(chain: readonly Certificate[]): Roles {
  if (chain.length !== 3) throw new Refusal('pck.chain', 'PCK chain: not three certificates');
  const leaf = chain.find(({ subjectCommonName: name }) => name?.includes('SGX PCK Certificate'));
  const root = chain.find(({ subject, issuer }) => equalBytes(subject, issuer));
  const intermediate = chain.find((certificate) => certificate !== leaf && certificate !== root);
  if (leaf === undefined || root === undefined || intermediate === undefined || leaf === root) {
    throw new Refusal('pck.chain', 'PCK chain: not leaf, intermediate and root');
  }
  if (root.subjectCommonName?.includes('SGX Root CA') !== true) {
    throw new Refusal('pck.chain', 'PCK chain: name of the root');
  }
  if (intermediate.subjectCommonName?.includes('CA') !== true) {
    throw new Refusal('pck.chain', 'PCK chain: name of the intermediate');
  }
  return { leaf, intermediate, root };
}

async function findAnchor(
  intermediate: Certificate,
  root: Certificate,
  anchors: readonly TrustAnchor[],
  crypto: EvidenceCrypto,
): Promise<Issuer> {
  for (const anchor of anchors) {
    const spki = await spkiOf(anchor, root, crypto);
    if (spki === undefined) continue;
    const key = await importSpki(spki, 'root key', crypto, 'pck.chain');
    const issuer = { name: root.subject, spki, key };
    if (await isIssuedBy(intermediate, issuer)) return issuer;
  }
  throw new Refusal('pck.chain', 'PCK CA certificate is not signed by a trusted root');
}

async function spkiOf(
  anchor: TrustAnchor,
  root: Certificate,
  crypto: EvidenceCrypto,
): Promise<Bytes | undefined> {
  if ('spki' in anchor) return anchor.spki;
  const digest = encodeHex(await crypto.sha256(root.spki));
  return digest === anchor.spkiSha256 ? root.spki : undefined;
}
