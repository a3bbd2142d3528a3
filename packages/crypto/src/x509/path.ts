import { equalBytes, type Bytes } from '@cloister/bytes';
import { verifyCertificateSignature, type Certificate } from './certificate.ts';
import type { Crl } from './crl.ts';
import { EXTENSION } from './extensions.ts';
import type { KeyCache } from './verify-key.ts';

/** What can be wrong with a certification path (RFC 5280, section 6.1) or a CRL (6.3). */
export type PathCode =
  | 'empty_path'
  | 'name_mismatch'
  | 'bad_signature'
  | 'not_yet_valid'
  | 'expired'
  | 'not_a_ca'
  | 'ca_as_leaf'
  | 'no_key_cert_sign'
  | 'path_too_long'
  | 'unknown_critical_extension'
  | 'no_crl_sign'
  | 'no_next_update';

/** One finding: what is wrong, and with which certificate (0 is the leaf). */
export interface PathProblem {
  readonly code: PathCode;
  readonly index: number;
}

/** How to judge a path. */
export interface PathOptions {
  /** The time at which the certificates must be valid. */
  readonly at: Date;
  /** The DER Name of the trust anchor; the last certificate's issuer must equal it. */
  readonly anchorName?: Bytes;
  /** OIDs of critical extensions that the caller understands, besides keyUsage and basicConstraints. */
  readonly understood?: readonly string[];
  /** Whether the path ends with a CA certificate, not an end entity's: false unless told. */
  readonly leafIsCa?: boolean;
}

/**
 * The rules of RFC 5280, section 6.1 for a path, from the leaf (index 0) to the certificate that
 * the trust anchor issued; the anchor itself is not in it. Names chain byte for byte. Gives what
 * is wrong, the certificate nearest the anchor first; an empty list says that the rules hold.
 * It does NOT verify signatures: `verifyPath` does both.
 */
export function checkPath(path: readonly Certificate[], options: PathOptions): PathProblem[] {
  if (path.length === 0) return [{ code: 'empty_path', index: 0 }];
  const problems: PathProblem[] = [];
  let issuerName = options.anchorName;
  let intermediatesLeft = Number.POSITIVE_INFINITY;
  for (let index = path.length - 1; index >= 0; index--) {
    const certificate = path[index];
    if (certificate === undefined) continue;
    const add = (code: PathCode) => problems.push({ code, index });
    if (issuerName !== undefined && !equalBytes(certificate.issuer, issuerName)) {
      add('name_mismatch');
    }
    issuerName = certificate.subject;
    const time = checkValidity(certificate, options.at);
    if (time !== undefined) add(time);
    if (hasUnknownCritical(certificate, options.understood)) add('unknown_critical_extension');
    const isLeaf = index === 0;
    if (!isLeaf || options.leafIsCa === true) {
      if (certificate.basicConstraints?.ca !== true) add('not_a_ca');
      if (certificate.keyUsage?.has('keyCertSign') !== true) add('no_key_cert_sign');
    } else if (certificate.basicConstraints?.ca === true) add('ca_as_leaf');
    if (!isLeaf) {
      // Self-issued certificates do not count (RFC 5280, 6.1.4 (l)).
      if (!equalBytes(certificate.issuer, certificate.subject)) {
        if (intermediatesLeft <= 0) add('path_too_long');
        intermediatesLeft -= 1;
      }
      const limit = certificate.basicConstraints?.pathLength ?? Number.POSITIVE_INFINITY;
      intermediatesLeft = Math.min(intermediatesLeft, limit);
    } else if (options.leafIsCa === true && intermediatesLeft <= 0) add('path_too_long');
  }
  return problems;
}

/** As `checkPath`, and verifies every signature, the last certificate's with the anchor's key. */
export async function verifyPath(
  path: readonly Certificate[],
  options: PathOptions & { readonly anchorSpki: Bytes; readonly cache?: KeyCache },
): Promise<PathProblem[]> {
  const verdicts = await Promise.all(
    path.map((certificate, index) =>
      verifyCertificateSignature(
        certificate,
        path[index + 1]?.spki ?? options.anchorSpki,
        options.cache,
      ),
    ),
  );
  const bad = verdicts.flatMap((verified, index): PathProblem[] =>
    verified ? [] : [{ code: 'bad_signature', index }],
  );
  return [...bad, ...checkPath(path, options)];
}

/** Whether a certificate is outside its validity period, both ends included (RFC 5280, 4.1.2.5). */
export function checkValidity(
  { notBefore, notAfter }: { readonly notBefore: Date; readonly notAfter: Date },
  at: Date,
): 'not_yet_valid' | 'expired' | undefined {
  // Written so that an invalid Date, which compares as false, is refused.
  if (!(at >= notBefore)) return 'not_yet_valid';
  return at <= notAfter ? undefined : 'expired';
}

/**
 * The rules of RFC 5280, section 6.3 for a CRL against its issuer's certificate (or the name of a
 * trust anchor): the names are equal, the issuer may sign CRLs, the time lies within both updates.
 * It does NOT verify the signature: `verifyCrlSignature` does.
 */
export function checkCrl(
  crl: Crl,
  issuer: Certificate | { readonly subject: Bytes },
  at: Date,
): PathCode[] {
  const codes: PathCode[] = [];
  if (!equalBytes(crl.issuer, issuer.subject)) codes.push('name_mismatch');
  if ('keyUsage' in issuer && issuer.keyUsage?.has('cRLSign') === false) codes.push('no_crl_sign');
  if (!(at >= crl.thisUpdate)) codes.push('not_yet_valid');
  if (crl.nextUpdate === undefined) codes.push('no_next_update');
  else if (!(at <= crl.nextUpdate)) codes.push('expired');
  return codes;
}

/** Whether this issuer's list revokes the certificate: the issuer counts, not the serial alone. */
export function isRevoked(crl: Crl, certificate: Certificate): boolean {
  return equalBytes(crl.issuer, certificate.issuer) && crl.revoked.has(certificate.serial);
}

function hasUnknownCritical(certificate: Certificate, understood: readonly string[] = []): boolean {
  for (const [oid, { critical }] of certificate.extensions) {
    const known =
      oid === EXTENSION.BASIC_CONSTRAINTS ||
      oid === EXTENSION.KEY_USAGE ||
      understood.includes(oid);
    if (critical && !known) return true;
  }
  return false;
}
