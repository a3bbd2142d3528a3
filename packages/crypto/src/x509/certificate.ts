import {
  asBytes,
  decodePem,
  DER,
  DerReader,
  encodeHex,
  equalBytes,
  MalformedError,
  type Bytes,
} from '@cloister/bytes';
import {
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readExtensions,
  readKeyUsage,
  readSubjectKeyIdentifier,
  type BasicConstraints,
  type Extensions,
  type KeyUsage,
} from './extensions.ts';
import { readCommonName } from './name.ts';
import type { SignatureAlgorithm } from './signature-algorithm.ts';
import { readSignedStructure } from './signed-structure.ts';
import { readTime } from './time.ts';
import { verifySignature, type KeyCache } from './verify-key.ts';

/** A certificate as read: nothing in it is verified. Byte members are views of `der`. */
export interface Certificate {
  readonly der: Bytes;
  /** What the signature covers. */
  readonly tbs: Bytes;
  /** Lower-case hex of the number's bytes, without a sign byte; "00" for zero. */
  readonly serial: string;
  /** The DER Name. */
  readonly issuer: Bytes;
  /** The DER Name. */
  readonly subject: Bytes;
  readonly issuerCommonName: string | undefined;
  readonly subjectCommonName: string | undefined;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** The DER SubjectPublicKeyInfo; see `parsePublicKey`. */
  readonly spki: Bytes;
  readonly signatureAlgorithm: SignatureAlgorithm;
  /** r ‖ s for ECDSA. */
  readonly signature: Bytes;
  readonly extensions: Extensions;
  readonly basicConstraints: BasicConstraints | undefined;
  readonly keyUsage: ReadonlySet<KeyUsage> | undefined;
  readonly subjectKeyIdentifier: Bytes | undefined;
  /** The keyIdentifier of the AuthorityKeyIdentifier. */
  readonly authorityKeyIdentifier: Bytes | undefined;
}

const MAX_CERTIFICATE = 65_536;

/**
 * Reads one DER certificate (RFC 5280, section 4.1): version 3, known signature algorithms, the
 * inner AlgorithmIdentifier equal to the outer one, no unique identifiers, each extension once.
 * Throws MalformedError for all else. Serial number 0 is read, for AMD's VCEKs have it.
 */
export function parseCertificate(der: Uint8Array, name = 'certificate'): Certificate {
  const { contents: tbs, ...shell } = readSignedStructure(der, {
    name,
    maxLength: MAX_CERTIFICATE,
  });
  const version = tbs.enter(0xa0);
  if (version.smallInteger() !== 2) tbs.fail();
  version.end();
  const serial = readSerial(tbs);
  if (!equalBytes(tbs.expect(DER.SEQUENCE).raw, shell.algorithm)) tbs.fail();
  const issuer = tbs.expect(DER.SEQUENCE);
  const validity = tbs.enter(DER.SEQUENCE);
  const notBefore = readTime(validity);
  const notAfter = readTime(validity);
  validity.end();
  const subject = tbs.expect(DER.SEQUENCE);
  const spki = tbs.expect(DER.SEQUENCE);
  const wrapper = tbs.enter(0xa3);
  const extensions = readExtensions(wrapper.enter(DER.SEQUENCE));
  wrapper.end();
  tbs.end();

  return {
    der: shell.der,
    tbs: shell.signed,
    serial,
    issuer: asBytes(issuer.raw),
    subject: asBytes(subject.raw),
    issuerCommonName: readCommonName(tbs.inside(issuer)),
    subjectCommonName: readCommonName(tbs.inside(subject)),
    notBefore,
    notAfter,
    spki: asBytes(spki.raw),
    signatureAlgorithm: shell.signatureAlgorithm,
    signature: shell.signature,
    extensions,
    basicConstraints: readBasicConstraints(extensions, name),
    keyUsage: readKeyUsage(extensions, name),
    subjectKeyIdentifier: readSubjectKeyIdentifier(extensions, name),
    authorityKeyIdentifier: readAuthorityKeyIdentifier(extensions, name),
  };
}

/**
 * Reads the certificates of a PEM text in their order. NUL bytes behind it, which Intel's
 * certification data have, are dropped.
 */
export function parseCertificateChain(pem: string, name = 'certificate chain'): Certificate[] {
  const blocks = decodePem(pem, 'CERTIFICATE', name);
  if (blocks.length === 0) throw new MalformedError('truncated', name);
  return blocks.map((der, index) => parseCertificate(der, `${name}, certificate ${index}`));
}

/** Whether the certificate's signature verifies with this key. A key of another sort: false. */
export function verifyCertificateSignature(
  certificate: Certificate,
  issuerSpki: Bytes,
  cache?: KeyCache,
): Promise<boolean> {
  const { signatureAlgorithm, signature, tbs } = certificate;
  return verifySignature(issuerSpki, signatureAlgorithm, signature, tbs, cache);
}

/** Reads a CertificateSerialNumber (RFC 5280, 4.1.2.2): at most 20 octets, not negative. */
export function readSerial(reader: DerReader): string {
  const number = reader.integer();
  if ((number[0] ?? 0) >= 0x80) reader.fail();
  const digits = number.length > 1 && number[0] === 0 ? number.subarray(1) : number;
  if (digits.length > 20) reader.fail();
  return encodeHex(digits);
}
