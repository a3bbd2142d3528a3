import { asBytes, DER, type Bytes, type DerReader } from '@cloister/bytes';
import { readCommonName } from './name.ts';
import { parsePublicKey } from './public-key.ts';
import type { SignatureAlgorithm } from './signature-algorithm.ts';
import { readSignedStructure } from './signed-structure.ts';
import { verifySignature } from './verify-key.ts';

/** A request for a certificate as read: nothing in it is verified. Byte members are views of `der`. */
export interface CertificationRequest {
  readonly der: Bytes;
  /** The CertificationRequestInfo: what the signature covers. */
  readonly info: Bytes;
  /** The DER Name that is asked for. */
  readonly subject: Bytes;
  readonly subjectCommonName: string | undefined;
  /** The DER SubjectPublicKeyInfo: an RSA key, or a point on P-256 or P-384. */
  readonly spki: Bytes;
  readonly signatureAlgorithm: SignatureAlgorithm;
  /** r ‖ s for ECDSA. */
  readonly signature: Bytes;
  /** OIDs of the attributes, in their order. What they ask for is not read. */
  readonly attributes: readonly string[];
}

/** An RSA key of 8192 bits with its signature and a list of names fits well. */
const MAX_REQUEST = 16_384;
const MAX_ATTRIBUTES = 16;

/**
 * Reads one DER certification request (PKCS #10; RFC 2986, section 4): version 0, a key and a
 * signature algorithm that are known here, the attributes there (perhaps empty), each once and with
 * a value. Throws MalformedError for all else.
 */
export function parseCertificationRequest(
  der: Uint8Array,
  name = 'certification request',
): CertificationRequest {
  const { contents: info, ...shell } = readSignedStructure(der, { name, maxLength: MAX_REQUEST });
  if (info.smallInteger() !== 0) info.fail();
  const subject = info.expect(DER.SEQUENCE);
  const spki = info.expect(DER.SEQUENCE);
  const attributes = readAttributes(info.enter(0xa0));
  info.end();
  parsePublicKey(spki.raw, `${name}: public key`);

  return {
    der: shell.der,
    info: shell.signed,
    subject: asBytes(subject.raw),
    subjectCommonName: readCommonName(info.inside(subject)),
    spki: asBytes(spki.raw),
    signatureAlgorithm: shell.signatureAlgorithm,
    signature: shell.signature,
    attributes,
  };
}

/** Whether whoever made the request holds the private key of the public one in it (RFC 2986, 4.2). */
export function verifyCertificationRequest({
  spki,
  signatureAlgorithm,
  signature,
  info,
}: CertificationRequest): Promise<boolean> {
  return verifySignature(spki, signatureAlgorithm, signature, info);
}

/** The contents of the attributes: each type once, each with at least one well-formed value. */
function readAttributes(list: DerReader): readonly string[] {
  const types: string[] = [];
  while (!list.done) {
    const attribute = list.enter(DER.SEQUENCE);
    const type = attribute.oid();
    const values = attribute.enter(DER.SET);
    attribute.end();
    if (values.done || types.includes(type) || types.length === MAX_ATTRIBUTES) list.fail();
    while (!values.done) values.next();
    types.push(type);
  }
  return types;
}
