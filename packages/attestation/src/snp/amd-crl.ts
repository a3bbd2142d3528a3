import { equalBytes, type Bytes } from '@cloister/bytes';
import { checkCrl, isRevoked, parseCrl, type Certificate, type Crl } from '@cloister/crypto';
import { Refusal } from '../intel/progress.ts';
import type { VerifiedAmdCa } from './amd-ca.ts';

/** A CRL that an ARK signed; its dates are not judged. */
export interface VerifiedAmdCrl extends Crl {
  readonly nextUpdate: Date;
  readonly ark: Certificate;
}

/**
 * Reads a CRL and verifies it with the ARK above the VEK (spec/evidence.md 9.6.3). A CRL that was
 * given but cannot be verified refuses: otherwise whoever supplies it decides on revocation.
 */
export async function verifyAmdCrl(
  der: Bytes,
  root: VerifiedAmdCa['root'],
): Promise<VerifiedAmdCrl> {
  if (root === undefined) throw new Refusal('crl.issuer', 'AMD CRL: its ARK was not given');
  const crl = parseCrl(der, 'AMD CRL');
  const { nextUpdate } = crl;
  const ark = root.certificate;
  if (nextUpdate === undefined) throw new Refusal('crl.format', 'AMD CRL: no nextUpdate');
  const problem = checkCrl(crl, ark, crl.thisUpdate).find((code) => code !== 'expired');
  if (problem !== undefined) throw new Refusal('crl.issuer', `AMD CRL: ${problem}`);
  if (
    crl.signatureAlgorithm !== 'rsa-pss-sha384' ||
    !(await root.key.verify(crl.signature, crl.tbs))
  ) {
    throw new Refusal('crl.signature', 'AMD CRL: signature');
  }
  return { ...crl, nextUpdate, ark };
}

/** Whether a kept verdict on a CRL was made with this root. */
export function isCrlOf(crl: VerifiedAmdCrl, { root }: VerifiedAmdCa): boolean {
  return root !== undefined && equalBytes(root.certificate.der, crl.ark.der);
}

/**
 * Refuses an ASK that the CRL lists. VEKs are not looked up: all have serial number 0, and their
 * issuer is another one than the CRL's.
 */
export function checkAskNotRevoked({ certificate }: VerifiedAmdCa, crl: Crl): void {
  if (isRevoked(crl, certificate)) throw new Refusal('snp.chain', 'ASK is revoked');
}
