import { tlsName } from '@cloister/attester';
import type { Bytes } from '@cloister/bytes';
import { manifestExtension, serviceUri } from '@cloister/client';
import {
  alternativeNamesExtension,
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  createCertificate,
  encodeName,
  extendedKeyUsageExtension,
  keyIdentifier,
  keyUsageExtension,
  parseCertificate,
  subjectKeyIdentifierExtension,
} from '@cloister/crypto';
import type { Authority } from './authority-vault.ts';

/** How far clocks of relying parties may be behind, seconds. */
const BACK = 60;

/**
 * The certificate of a service's attested key (spec/key-broker.md 5.2): for both ends of TLS, named
 * by deployment and service, with the manifest under which it was given. What the request asked for
 * is in none of it, apart from the key.
 */
export async function createServiceCertificate(terms: {
  readonly authority: Authority;
  readonly deployment: string;
  readonly service: string;
  /** Its id. */
  readonly manifest: string;
  readonly serial: Bytes;
  readonly spki: Bytes;
  /** Seconds since 1970. */
  readonly now: number;
  readonly exp: number;
}): Promise<Bytes> {
  const { authority, deployment, service, manifest, serial, spki, now, exp } = terms;
  const issuer = parseCertificate(authority.certificate);
  return createCertificate({
    subject: encodeName({ commonName: `cloister ${service}`, organizationName: deployment }),
    issuer: issuer.subject,
    serial,
    notBefore: new Date((now - BACK) * 1000),
    notAfter: new Date(exp * 1000),
    publicKey: spki,
    signer: authority.key,
    extensions: [
      basicConstraintsExtension({ ca: false }),
      keyUsageExtension('digitalSignature'),
      extendedKeyUsageExtension('serverAuth', 'clientAuth'),
      alternativeNamesExtension({
        uris: [serviceUri(deployment, service)],
        // For clients that look at host names, as in the certificates that services make themselves.
        dnsNames: [tlsName(service)],
      }),
      subjectKeyIdentifierExtension(await keyIdentifier(spki)),
      authorityKeyIdentifierExtension(await keyIdentifier(issuer.spki)),
      manifestExtension(manifest),
    ],
  });
}
