import {
  copyBytes,
  decodePem,
  encodeHex,
  equalBytes,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';
import { parseCertificate, type Certificate } from '@cloister/crypto';
import type { IntelPlatformClaims } from '../claims.ts';
import { checkIntelPath, importSpki, isIssuedBy, type Issuer } from './certificates.ts';
import { INTEL_ROOT, type TrustAnchor } from './collateral.ts';
import type { EvidenceCrypto, P256Key } from './evidence-crypto.ts';
import { parsePckExtension, SGX_EXTENSION_OID, type PckExtension } from './pck-extension.ts';
import { Refusal } from './progress.ts';
import type { VerificationCache } from './verification-cache.ts';

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
  /** What it says of the platform. */
  readonly claims: PckClaims;
}

/** The claims that come from a PCK certificate. */
export type PckClaims = Pick<
  IntelPlatformClaims,
  'simulated' | 'fmspc' | 'pceId' | 'pceSvn' | 'pckCpuSvn' | 'ppid' | 'pckSerial' | 'pckCa'
>;

/** What of a cache the verification of a chain uses: what its certificates share with others'. */
export type PckCaCache = Pick<VerificationCache, 'pckCas' | 'caCertificates'>;

/**
 * Verifies a chain of leaf, intermediate and root, in any order (spec/evidence.md 2.2). The root
 * certificate is dropped: the intermediate must verify with an anchor's own key. The cache keeps
 * CAs for the next chain.
 */
export async function verifyPckChain(
  pem: string,
  anchors: readonly TrustAnchor[],
  crypto: EvidenceCrypto,
  cache: PckCaCache,
): Promise<VerifiedPckChain> {
  const chain = readChain(pem, cache);
  const roles = findRoles(chain.map(({ certificate }) => certificate));
  const { leaf, intermediate: certificate, root } = roles;
  checkIntelPath([leaf, certificate], root.subject, 'PCK chain', 'pck.chain');
  if (certificate.keyUsage?.has('cRLSign') !== true) {
    throw new Refusal('pck.chain', 'PCK CA certificate: may not sign CRLs');
  }
  let intermediate = cache.pckCas.get(certificate.der, crypto.equal);
  if (intermediate === undefined || !isFoundAmong(intermediate, anchors)) {
    intermediate = await verifyPckCa(roles, anchors, crypto);
    cache.pckCas.set(certificate.der, intermediate);
  }
  if (!(await isIssuedBy(leaf, intermediate))) {
    throw new Refusal('pck.chain', 'PCK certificate is not signed by the PCK CA');
  }
  const value = leaf.extensions.get(SGX_EXTENSION_OID)?.value;
  if (value === undefined) throw new Refusal('pck.chain', 'PCK certificate: no SGX extension');
  const leafKey = await importSpki(leaf.spki, 'PCK key', crypto, 'pck.chain');
  const extension = parsePckExtension(value);
  for (const { text, certificate: read } of chain) {
    if (read !== leaf) cache.caCertificates.set(text, read);
  }
  const claims = pckClaims(leaf, intermediate, extension);
  return { leaf, leafKey, intermediate, extension, claims };
}

const END = '-----END CERTIFICATE-----';

/** The certificates of a PEM chain; those of CAs that were read before are not read again. */
function readChain(pem: string, { caCertificates }: PckCaCache): readonly PemCertificate[] {
  const blocks: string[] = [];
  let from = 0;
  for (let at = pem.indexOf(END); at >= 0 && blocks.length < 4; at = pem.indexOf(END, from)) {
    blocks.push(pem.slice(from, at + END.length));
    from = at + END.length;
  }
  if (blocks.length !== 3) throw new Refusal('pck.chain', 'PCK chain: not three certificates');
  // Intel's certification data end with a NUL.
  if (!/^[\s\0]*$/.test(pem.slice(from))) {
    throw new MalformedError('bad_value', 'PCK chain: its end');
  }
  return blocks.map((text, i) => {
    const name = `PCK chain, certificate ${i}`;
    // The first is the leaf, if it is not an odd chain.
    const known = i === 0 ? undefined : caCertificates.get(text);
    const certificate = known ?? readCertificate(text, name);
    return { text, certificate };
  });
}

function readCertificate(text: string, name: string): Certificate {
  const [der] = decodePem(text, 'CERTIFICATE', name);
  if (der === undefined) throw new MalformedError('truncated', name);
  return parseCertificate(der, name);
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

/** What the certificate of a chain says of its platform, as claims. */
function pckClaims(
  leaf: Certificate,
  { certificate, root }: VerifiedPckCa,
  { fmspc, pceId, pceSvn, cpuSvn, ppid }: PckExtension,
): PckClaims {
  return {
    simulated: !equalBytes(root.spki, INTEL_ROOT.spki),
    fmspc: encodeHex(fmspc),
    pceId: encodeHex(pceId),
    pceSvn,
    pckCpuSvn: encodeHex(cpuSvn),
    ppid: encodeHex(ppid),
    pckSerial: `0x${leaf.serial.replace(/^0+(?=.)/, '')}`,
    pckCa: certificate.subjectCommonName ?? '',
  };
}

/** A certificate, and the text of its PEM block. */
interface PemCertificate {
  readonly text: string;
  readonly certificate: Certificate;
}

interface Roles {
  readonly leaf: Certificate;
  readonly intermediate: Certificate;
  readonly root: Certificate;
}

function findRoles(chain: readonly Certificate[]): Roles {
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
  return (await crypto.sha256Hex(root.spki)) === anchor.spkiSha256 ? root.spki : undefined;
}
