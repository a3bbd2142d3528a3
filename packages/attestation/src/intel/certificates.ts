import { concatBytes, equalBytes, type Bytes } from '@cloister/bytes';
import { checkPath, EXTENSION, parsePublicKey, type Certificate } from '@cloister/crypto';
import type { EvidenceCode } from '../verification.ts';
import type { EvidenceCrypto, P256Key } from './evidence-crypto.ts';
import { Refusal } from './progress.ts';

/** Who issues certificates or CRLs: its name, and its key as imported. */
export interface Issuer {
  readonly name: Bytes;
  readonly spki: Bytes;
  readonly key: P256Key;
}

/** What every certificate of Intel's hierarchy carries (spec/evidence.md 2.2, 4). */
const REQUIRED = [
  EXTENSION.AUTHORITY_KEY_IDENTIFIER,
  EXTENSION.CRL_DISTRIBUTION_POINTS,
  EXTENSION.SUBJECT_KEY_IDENTIFIER,
  EXTENSION.KEY_USAGE,
  EXTENSION.BASIC_CONSTRAINTS,
];

/**
 * Refuses a path, from the leaf to the certificate that the anchor issued, which breaks the rules
 * of RFC 5280, section 6.1 or lacks what Intel's certificates have (spec/evidence.md 2.2). Dates are
 * judged elsewhere, for this verdict is cached; signatures too.
 */
export function checkIntelPath(
  path: readonly [Certificate, ...Certificate[]],
  anchorName: Bytes,
  name: string,
  code: EvidenceCode,
): void {
  const problem = checkPath(path, { at: path[0].notBefore, anchorName }).find(
    (found) => found.code !== 'expired' && found.code !== 'not_yet_valid',
  );
  if (problem !== undefined) {
    throw new Refusal(code, `${name}: ${problem.code} at certificate ${problem.index}`);
  }
  path.forEach(({ extensions, signatureAlgorithm }, i) => {
    const missing = REQUIRED.find((oid) => !extensions.has(oid));
    if (missing !== undefined) {
      throw new Refusal(code, `${name}: certificate ${i} has no extension ${missing}`);
    }
    if (signatureAlgorithm !== 'ecdsa-sha256') {
      throw new Refusal(code, `${name}: signature algorithm of certificate ${i}`);
    }
  });
}

/** Whether the certificate names this issuer, byte for byte, and its key verifies the signature. */
export async function isIssuedBy(certificate: Certificate, issuer: Issuer): Promise<boolean> {
  return (
    equalBytes(certificate.issuer, issuer.name) &&
    (await issuer.key.verify(certificate.signature, certificate.tbs))
  );
}

/** Imports a SubjectPublicKeyInfo that must be a P-256 key; refuses all else with the code. */
export async function importSpki(
  spki: Bytes,
  name: string,
  crypto: EvidenceCrypto,
  code: EvidenceCode,
): Promise<P256Key> {
  const info = parsePublicKey(spki, name);
  if (info.type !== 'ec' || info.curve !== 'P-256') throw new Refusal(code, `${name}: not P-256`);
  const key = await crypto.importP256(concatBytes(info.x, info.y));
  if (key === undefined) throw new Refusal(code, `${name}: not on the curve`);
  return key;
}
