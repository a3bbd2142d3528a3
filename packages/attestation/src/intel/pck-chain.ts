import { copyBytes, encodeHex, equalBytes, type Bytes } from '@cloister/bytes';
import { parseCertificateChain, type Certificate } from '@cloister/crypto';
import { checkIntelPath, importSpki, isIssuedBy, type Issuer } from './certificates.ts';
import { INTEL_ROOT, type TrustAnchor } from './collateral.ts';
import type { EvidenceCrypto, P256Key } from './evidence-crypto.ts';
import type { Lru } from './lru.ts';
import { parsePckExtension, SGX_EXTENSION_OID, type PckExtension } from './pck-extension.ts';
import { Refusal } from './progress.ts';

/** A PCK CA whose certificate an anchor signed; dates are not judged. */
export interface VerifiedPckCa extends Issuer {
  readonly certificate: Certificate;
  /** The anchor: its key, with the name that the certificate gives its issuer. */
  readonly root: Issuer;
  /** The anchors among which it was found. */
  readonly anchors: readonly TrustAnchor[];
}

/** A PCK certificate whose chain leads to an anchor by its signatures; dates are not judged. */
export interface VerifiedPckChain {
  readonly leaf: Certificate;
  readonly leafKey: P256Key;
  readonly intermediate: VerifiedPckCa;
  readonly extension: PckExtension;
  /** Whether the anchor is another key than Intel's. */
  readonly simulated: boolean;
}

/**
 * Verifies a chain of leaf, intermediate and root, in any order (spec/evidence.md 2.2). The root
 * certificate is dropped: the intermediate must verify with an anchor's own key. `cas` keeps
 * intermediates for the next chain.
 */
export async function verifyPckChain(
  pem: string,
  anchors: readonly TrustAnchor[],
  crypto: EvidenceCrypto,
  cas: Lru<VerifiedPckCa>,
): Promise<VerifiedPckChain> {
  const roles = findRoles(parseCertificateChain(pem, 'PCK chain'));
  const { leaf, intermediate: certificate, root } = roles;
  checkIntelPath([leaf, certificate], root.subject, 'PCK chain', 'pck.chain');
  if (certificate.keyUsage?.has('cRLSign') !== true) {
    throw new Refusal('pck.chain', 'PCK CA certificate: may not sign CRLs');
  }
  const id = encodeHex(await crypto.sha256(certificate.der));
  let intermediate = cas.get(id);
  if (intermediate === undefined || !isFoundAmong(intermediate, anchors)) {
    intermediate = await verifyPckCa(roles, anchors, crypto);
    cas.set(id, intermediate);
  }
  if (!(await isIssuedBy(leaf, intermediate))) {
    throw new Refusal('pck.chain', 'PCK certificate is not signed by the PCK CA');
  }
  const value = leaf.extensions.get(SGX_EXTENSION_OID)?.value;
  if (value === undefined) throw new Refusal('pck.chain', 'PCK certificate: no SGX extension');
  return {
    leaf,
    leafKey: await importSpki(leaf.spki, 'PCK key', crypto, 'pck.chain'),
    intermediate,
    extension: parsePckExtension(value),
    simulated: !equalBytes(intermediate.root.spki, INTEL_ROOT.spki),
  };
}

/** Whether a kept verdict on a CA was made with these anchors. */
export function isFoundAmong(ca: VerifiedPckCa, anchors: readonly TrustAnchor[]): boolean {
  const { anchors: known } = ca;
  return known.length === anchors.length && known.every((a, i) => isSameAnchor(a, anchors[i]));
}

function isSameAnchor(a: TrustAnchor, b: TrustAnchor | undefined): boolean {
  if (b === undefined) return false;
  if ('spki' in a) return 'spki' in b && equalBytes(a.spki, b.spki);
  return 'spkiSha256' in b && a.spkiSha256 === b.spkiSha256;
}

/** A copy of the anchors that later writes to their bytes cannot change. */
function copyAnchors(anchors: readonly TrustAnchor[]): readonly TrustAnchor[] {
  return anchors.map((anchor) =>
    'spki' in anchor ? { spki: copyBytes(anchor.spki) } : { spkiSha256: anchor.spkiSha256 },
  );
}

async function verifyPckCa(
  { intermediate: certificate, root }: Roles,
  anchors: readonly TrustAnchor[],
  crypto: EvidenceCrypto,
): Promise<VerifiedPckCa> {
  return {
    certificate,
    name: certificate.subject,
    spki: certificate.spki,
    root: await findAnchor(certificate, root, anchors, crypto),
    anchors: copyAnchors(anchors),
    key: await importSpki(certificate.spki, 'PCK CA key', crypto, 'pck.chain'),
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
