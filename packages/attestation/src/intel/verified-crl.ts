import { equalBytes, type Bytes } from '@cloister/bytes';
import { parseCrl, type Certificate, type Crl } from '@cloister/crypto';
import type { EvidenceCode } from '../verification.ts';
import type { Issuer } from './certificates.ts';
import { Refusal } from './progress.ts';

/** A CRL that its CA signed; its dates are not judged. */
export interface VerifiedCrl extends Crl {
  readonly nextUpdate: Date;
  readonly verifiedWith: Issuer;
}

/**
 * Reads a CRL and verifies it with the key of the CA whose certificates it is to judge
 * (spec/evidence.md 2.3): without that, whoever supplies collateral decides on revocation.
 */
export async function verifyCrl(der: Bytes, issuer: Issuer, name: string): Promise<VerifiedCrl> {
  const crl = parseCrl(der, name);
  const { nextUpdate } = crl;
  if (crl.crlNumber === undefined || crl.authorityKeyIdentifier === undefined) {
    throw new Refusal('crl.format', `${name}: extensions`);
  }
  if (nextUpdate === undefined) throw new Refusal('crl.format', `${name}: no nextUpdate`);
  if (!equalBytes(crl.issuer, issuer.name)) {
    throw new Refusal('crl.issuer', `${name} is by another CA`);
  }
  if (
    crl.signatureAlgorithm !== 'ecdsa-sha256' ||
    !(await issuer.key.verify(crl.signature, crl.tbs))
  ) {
    throw new Refusal('crl.signature', `${name}: signature`);
  }
  return { ...crl, nextUpdate, verifiedWith: issuer };
}

/** Refuses a certificate that the CRL lists; a CRL says nothing about other issuers' serials. */
export function checkNotRevoked(
  certificate: Certificate,
  crl: Crl,
  name: string,
  code: EvidenceCode,
): void {
  if (!equalBytes(certificate.issuer, crl.issuer)) {
    throw new Refusal('crl.issuer', `${name}: CRL is by another CA`);
  }
  if (crl.revoked.has(certificate.serial)) throw new Refusal(code, `${name} is revoked`);
}
