import { DER, decodeHex, encodeDer, encodeDerInteger, type Bytes } from '@cloister/bytes';
import { encodeExtensions, type ExtensionInput } from './encode-extensions.ts';
import { signatureAlgorithmOf, signStructure } from './sign.ts';
import { encodeSignatureAlgorithm } from './signature-algorithm.ts';
import { encodeTime } from './time.ts';

/** What a new certificate says. */
export interface CertificateInput {
  /** DER Names; see `encodeName`. */
  readonly subject: Bytes;
  readonly issuer: Bytes;
  /** Big-endian, or its lower hex; at most 20 bytes. */
  readonly serial: Bytes | string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** The SubjectPublicKeyInfo to certify. */
  readonly publicKey: Bytes;
  /** The issuer's private key: ECDSA P-256 or P-384, RSASSA-PKCS1-v1_5 or RSA-PSS. */
  readonly signer: CryptoKey;
  /** At least one. */
  readonly extensions: readonly ExtensionInput[];
}

/** Makes a DER X.509 v3 certificate (RFC 5280, section 4.1) for a PKI of our own. */
export async function createCertificate(input: CertificateInput): Promise<Bytes> {
  const { subject, issuer, serial, notBefore, notAfter, publicKey, signer, extensions } = input;
  const algorithm = signatureAlgorithmOf(signer);
  const tbs = encodeDer(
    DER.SEQUENCE,
    encodeDer(0xa0, encodeDerInteger(Uint8Array.of(2))),
    encodeSerial(serial),
    encodeSignatureAlgorithm(algorithm),
    issuer,
    encodeDer(DER.SEQUENCE, encodeTime(notBefore), encodeTime(notAfter)),
    subject,
    publicKey,
    encodeDer(0xa3, encodeExtensions(extensions)),
  );
  return signStructure(signer, algorithm, tbs);
}

/** A serial number, from its bytes or their hex. */
export function encodeSerial(serial: Bytes | string): Bytes {
  return encodeDerInteger(typeof serial === 'string' ? decodeHex(serial, 'serial') : serial);
}
