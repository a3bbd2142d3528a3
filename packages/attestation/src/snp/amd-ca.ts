import { copyBytes, equalBytes, type Bytes } from '@cloister/bytes';
import { checkPath, parseCertificate, type Certificate, type PathProblem } from '@cloister/crypto';
import type { TrustAnchor } from '../intel/collateral.ts';
import { Refusal } from '../intel/progress.ts';
import { AMD_INTERMEDIATES, AMD_ROOTS } from './amd-roots.ts';
import type { SnpCrypto, SnpKey } from './snp-crypto.ts';

/** An ASK or ASVK under a root that counts; dates and revocation are not judged. */
export interface VerifiedAmdCa {
  readonly certificate: Certificate;
  readonly key: SnpKey;
  /** The root, where its certificate was at hand. */
  readonly root?: { readonly certificate: Certificate; readonly key: SnpKey };
  /** Whether the root is another key than AMD's. */
  readonly simulated: boolean;
  /** The anchors among which the root was found. */
  readonly anchors: readonly TrustAnchor[];
}

/**
 * Verifies an ASK or ASVK (spec/evidence.md 9.6.3): signed by an ARK whose key is an anchor and
 * which signed itself; or, without an ARK, an anchor's key signed it, or it is one of AMD's own
 * known by its digest.
 */
export async function verifyAmdCa(
  ask: Bytes,
  ark: Bytes | undefined,
  anchors: readonly TrustAnchor[],
  crypto: SnpCrypto,
): Promise<VerifiedAmdCa> {
  const certificate = parseCertificate(ask, 'ASK');
  const root = ark === undefined ? undefined : await verifyArk(ark, anchors, crypto);
  const problems = checkPath([certificate], {
    at: certificate.notBefore,
    leafIsCa: true,
    ...(root === undefined ? {} : { anchorName: root.certificate.subject }),
  });
  refuseProblems(problems, 'ASK');
  const simulated =
    root === undefined
      ? await verifyWithoutArk(certificate, anchors, crypto)
      : await verifyUnderArk(certificate, root, crypto);
  return {
    certificate,
    key: await importRsa(certificate.spki, 'ASK', crypto),
    ...(root === undefined ? {} : { root }),
    simulated,
    anchors: anchors.map(copyAnchor),
  };
}

/** Dates are judged for each report, for these verdicts are cached. */
export function refuseProblems(problems: readonly PathProblem[], name: string): void {
  const problem = problems.find(({ code }) => code !== 'expired' && code !== 'not_yet_valid');
  if (problem !== undefined) throw new Refusal('snp.chain', `${name}: ${problem.code}`);
}

/** Whether a certificate's signature is RSASSA-PSS with SHA-384, and by this key. */
export async function isSignedBy(certificate: Certificate, key: SnpKey): Promise<boolean> {
  return (
    certificate.signatureAlgorithm === 'rsa-pss-sha384' &&
    (await key.verify(certificate.signature, certificate.tbs))
  );
}

/** Whether a kept verdict on a CA was made with these anchors. */
export function isFoundAmong(ca: VerifiedAmdCa, anchors: readonly TrustAnchor[]): boolean {
  const { anchors: known } = ca;
  return known.length === anchors.length && known.every((a, i) => isSameAnchor(a, anchors[i]));
}

async function verifyArk(
  der: Bytes,
  anchors: readonly TrustAnchor[],
  crypto: SnpCrypto,
): Promise<{ readonly certificate: Certificate; readonly key: SnpKey }> {
  const certificate = parseCertificate(der, 'ARK');
  const digest = await crypto.sha256Hex(certificate.spki);
  const anchored = anchors.some((anchor) =>
    'spki' in anchor ? equalBytes(anchor.spki, certificate.spki) : anchor.spkiSha256 === digest,
  );
  if (!anchored) throw new Refusal('snp.chain', 'ARK is not a trusted root');
  const key = await importRsa(certificate.spki, 'ARK', crypto);
  const path = { at: certificate.notBefore, leafIsCa: true, anchorName: certificate.subject };
  refuseProblems(checkPath([certificate], path), 'ARK');
  if (!(await isSignedBy(certificate, key))) {
    throw new Refusal('snp.chain', 'ARK is not signed by itself');
  }
  return { certificate, key };
}

async function verifyUnderArk(
  ask: Certificate,
  ark: { readonly certificate: Certificate; readonly key: SnpKey },
  crypto: SnpCrypto,
): Promise<boolean> {
  if (!(await isSignedBy(ask, ark.key))) {
    throw new Refusal('snp.chain', 'ASK is not signed by the ARK');
  }
  const digest = await crypto.sha256Hex(ark.certificate.spki);
  return !AMD_ROOTS.some(({ spkiSha256 }) => spkiSha256 === digest);
}

async function verifyWithoutArk(
  ask: Certificate,
  anchors: readonly TrustAnchor[],
  crypto: SnpCrypto,
): Promise<boolean> {
  const product = AMD_INTERMEDIATES.get(await crypto.sha256Hex(ask.der));
  const amd = AMD_ROOTS.find((root) => root.product === product)?.spkiSha256;
  for (const anchor of anchors) {
    const digest = await digestOf(anchor, crypto);
    if (amd !== undefined && digest === amd) return false;
    if (!('spki' in anchor)) continue;
    if (await isSignedBy(ask, await importRsa(anchor.spki, 'ARK', crypto))) {
      return !AMD_ROOTS.some(({ spkiSha256 }) => spkiSha256 === digest);
    }
  }
  throw new Refusal('snp.chain', 'ASK is not known, and its ARK was not given');
}

async function digestOf(anchor: TrustAnchor, crypto: SnpCrypto): Promise<string> {
  return 'spki' in anchor ? await crypto.sha256Hex(anchor.spki) : anchor.spkiSha256;
}

async function importRsa(spki: Bytes, name: string, crypto: SnpCrypto): Promise<SnpKey> {
  const key = await crypto.importRsaPss(spki);
  if (key === undefined) throw new Refusal('snp.chain', `${name}: not an RSA key`);
  return key;
}

function isSameAnchor(a: TrustAnchor, b: TrustAnchor | undefined): boolean {
  if (b === undefined) return false;
  if ('spki' in a) return 'spki' in b && equalBytes(a.spki, b.spki);
  return 'spkiSha256' in b && a.spkiSha256 === b.spkiSha256;
}

/** A copy that later writes to the bytes of the anchor cannot change. */
function copyAnchor(anchor: TrustAnchor): TrustAnchor {
  return 'spki' in anchor ? { spki: copyBytes(anchor.spki) } : { spkiSha256: anchor.spkiSha256 };
}
