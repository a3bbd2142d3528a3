import type { Bytes } from '@cloister/bytes';
import {
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  createCertificate,
  encodeName,
  type ExtensionInput,
  keyIdentifier,
  keyUsageExtension,
  type KeyUsage,
  parseCertificate,
  subjectKeyIdentifierExtension,
  type Certificate,
} from '../src/index.ts';

/** A key pair and the certificate over it. */
export interface Party {
  readonly name: Bytes;
  readonly keys: CryptoKeyPair;
  readonly spki: Bytes;
  readonly certificate: Certificate;
}

export interface Terms {
  readonly ca?: boolean;
  readonly pathLength?: number;
  readonly keyUsage?: readonly [KeyUsage, ...KeyUsage[]];
  readonly serial?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly issuerName?: Bytes;
  readonly subjectName?: Bytes;
  readonly more?: readonly ExtensionInput[];
  readonly bare?: boolean;
  readonly algorithm?: EcKeyGenParams | RsaHashedKeyGenParams;
}

export const AT = new Date('2026-06-01T00:00:00Z');
const EC: EcKeyGenParams = { name: 'ECDSA', namedCurve: 'P-256' };

/** Certifies a new key: by the issuer's, or, without one, by itself. */
export async function certify(
  commonName: string,
  issuer: Party | undefined,
  terms: Terms = {},
): Promise<Party> {
  const keys = await crypto.subtle.generateKey(terms.algorithm ?? EC, true, ['sign', 'verify']);
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', keys.publicKey));
  const name = terms.subjectName ?? encodeName({ commonName, organizationName: 'Cloister tests' });
  const { ca = false, pathLength, keyUsage } = terms;
  const extensions = [
    subjectKeyIdentifierExtension(await keyIdentifier(spki)),
    authorityKeyIdentifierExtension(await keyIdentifier(issuer?.spki ?? spki)),
    ...(terms.bare === true
      ? []
      : [
          basicConstraintsExtension(pathLength === undefined ? { ca } : { ca, pathLength }),
          keyUsageExtension(
            ...(keyUsage ?? (ca ? ['keyCertSign', 'cRLSign'] : ['digitalSignature'])),
          ),
        ]),
    ...(terms.more ?? []),
  ];
  const der = await createCertificate({
    subject: name,
    issuer: terms.issuerName ?? issuer?.name ?? name,
    serial: terms.serial ?? '01',
    notBefore: terms.notBefore ?? new Date('2026-01-01T00:00:00Z'),
    notAfter: terms.notAfter ?? new Date('2027-01-01T00:00:00Z'),
    publicKey: spki,
    signer: (issuer?.keys ?? keys).privateKey,
    extensions,
  });
  return { name, keys, spki, certificate: parseCertificate(der, commonName) };
}
