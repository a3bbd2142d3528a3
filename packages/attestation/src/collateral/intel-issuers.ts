import { encodeHex, equalBytes } from '@cloister/bytes';
import { checkPath, parseCertificateChain, sha256, type Certificate } from '@cloister/crypto';
import { importSpki, isIssuedBy, type Issuer } from '../intel/certificates.ts';
import type { TrustAnchor } from '../intel/collateral.ts';
import { WEB_CRYPTO } from '../intel/evidence-crypto.ts';
import { Refusal } from '../intel/progress.ts';

/** The root of a chain as served, if its key is an anchor's: the chain's own root is not trusted. */
export async function findRoot(pem: string, anchors: readonly TrustAnchor[]): Promise<Issuer> {
  const root = parseCertificateChain(pem, 'issuer chain').find(isSelfIssued);
  if (root === undefined) throw new Refusal('pck.chain', 'issuer chain: no root');
  const digest = encodeHex(await sha256(root.spki));
  const anchored = anchors.some((anchor) =>
    'spki' in anchor ? equalBytes(anchor.spki, root.spki) : anchor.spkiSha256 === digest,
  );
  if (!anchored) throw new Refusal('pck.chain', 'issuer chain: root is not trusted');
  return issuerOf(root);
}

/** The PCK CA of a chain as served, if a root that counts signed it. */
export async function findPckCa(pem: string, anchors: readonly TrustAnchor[]): Promise<Issuer> {
  const root = await findRoot(pem, anchors);
  const ca = parseCertificateChain(pem, 'issuer chain').find((one) => !isSelfIssued(one));
  if (ca === undefined) throw new Refusal('pck.chain', 'issuer chain: no PCK CA');
  // Dates are not judged here: a document is judged when a quote is verified with it.
  const rules = { at: ca.notBefore, anchorName: root.name, leafIsCa: true };
  const [problem] = checkPath([ca], rules);
  if (problem !== undefined) throw new Refusal('pck.chain', `PCK CA: ${problem.code}`);
  if (!(await isIssuedBy(ca, root))) throw new Refusal('pck.chain', 'PCK CA: signature');
  return issuerOf(ca);
}

function isSelfIssued({ subject, issuer }: Certificate): boolean {
  return equalBytes(subject, issuer);
}

async function issuerOf({ subject: name, spki }: Certificate): Promise<Issuer> {
  return { name, spki, key: await importSpki(spki, 'issuer key', WEB_CRYPTO, 'pck.chain') };
}
