import { DER, encodeDer, encodeDerInteger, type Bytes } from '@cloister/bytes';
import { signatureAlgorithmOf, signStructure } from './sign.ts';

/** What a new request says. */
export interface CertificationRequestInput {
  /** A DER Name; see `encodeName`. */
  readonly subject: Bytes;
  /** The SubjectPublicKeyInfo to certify. */
  readonly publicKey: Bytes;
  /** Its private key: ECDSA P-256 or P-384, RSASSA-PKCS1-v1_5 or RSA-PSS. */
  readonly signer: CryptoKey;
}

/** Makes a DER certification request without attributes (PKCS #10; RFC 2986, section 4). */
export function createCertificationRequest(input: CertificationRequestInput): Promise<Bytes> {
  const { subject, publicKey, signer } = input;
  const info = encodeDer(
    DER.SEQUENCE,
    encodeDerInteger(Uint8Array.of(0)),
    subject,
    publicKey,
    encodeDer(0xa0),
  );
  return signStructure(signer, signatureAlgorithmOf(signer), info);
}
