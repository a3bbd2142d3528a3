import { copyBytes, DER, DerReader, encodeDer, encodeDerOid, type Bytes } from '@cloister/bytes';

/**
 * The signature algorithms that certificates and CRLs may have here. The hash fixes the curve of
 * ECDSA (SHA-256 with P-256, SHA-384 with P-384) and the salt of RSASSA-PSS (as long as the hash).
 */
export type SignatureAlgorithm =
  | 'ecdsa-sha256'
  | 'ecdsa-sha384'
  | 'rsa-pkcs1-sha256'
  | 'rsa-pkcs1-sha384'
  | 'rsa-pss-sha256'
  | 'rsa-pss-sha384';

const OID = {
  ECDSA_SHA256: '1.2.840.10045.4.3.2',
  ECDSA_SHA384: '1.2.840.10045.4.3.3',
  RSA_SHA256: '1.2.840.113549.1.1.11',
  RSA_SHA384: '1.2.840.113549.1.1.12',
  RSA_PSS: '1.2.840.113549.1.1.10',
  MGF1: '1.2.840.113549.1.1.8',
  SHA256: '2.16.840.1.101.3.4.2.1',
  SHA384: '2.16.840.1.101.3.4.2.2',
} as const;

/** Reads the contents of an AlgorithmIdentifier of a signature (RFC 5280, 4.1.1.2; RFC 4055; RFC 5758). */
export function parseSignatureAlgorithm(identifier: DerReader): SignatureAlgorithm {
  const algorithm = readAlgorithm(identifier);
  identifier.end();
  return algorithm;
}

function readAlgorithm(identifier: DerReader): SignatureAlgorithm {
  switch (identifier.oid()) {
    case OID.ECDSA_SHA256:
      return 'ecdsa-sha256';
    case OID.ECDSA_SHA384:
      return 'ecdsa-sha384';
    case OID.RSA_SHA256:
      readNull(identifier);
      return 'rsa-pkcs1-sha256';
    case OID.RSA_SHA384:
      readNull(identifier);
      return 'rsa-pkcs1-sha384';
    case OID.RSA_PSS:
      return readPssParameters(identifier.enter(DER.SEQUENCE));
    default:
      return identifier.fail();
  }
}

/** RSASSA-PSS-params (RFC 4055, section 3.1): one hash for both uses, a salt as long as it, trailer 1. */
function readPssParameters(parameters: DerReader): SignatureAlgorithm {
  const hash = readHash(explicit(parameters, 0xa0).enter(DER.SEQUENCE));
  const mask = explicit(parameters, 0xa1).enter(DER.SEQUENCE);
  if (mask.oid() !== OID.MGF1) mask.fail();
  if (readHash(mask.enter(DER.SEQUENCE)) !== hash) mask.fail();
  mask.end();
  const salt = explicit(parameters, 0xa2).smallInteger();
  if (salt !== (hash === OID.SHA256 ? 32 : 48)) parameters.fail();
  // DER leaves the default trailer out; AMD's older certificates spell it.
  if (!parameters.done && explicit(parameters, 0xa3).smallInteger() !== 1) parameters.fail();
  parameters.end();
  return hash === OID.SHA256 ? 'rsa-pss-sha256' : 'rsa-pss-sha384';
}

/** The one element inside an explicit tag; the reader of that tag must not hold more. */
function explicit(parent: DerReader, tag: number): DerReader {
  const element = parent.expect(tag);
  const all = parent.inside(element);
  all.next();
  all.end();
  return parent.inside(element);
}

function readHash(identifier: DerReader): string {
  const oid = identifier.oid();
  if (oid !== OID.SHA256 && oid !== OID.SHA384) identifier.fail();
  // RFC 4055, section 2.1: both NULL and absent parameters must be accepted for hashes.
  if (!identifier.done) readNull(identifier);
  identifier.end();
  return oid;
}

function readNull(identifier: DerReader): void {
  if (identifier.expect(DER.NULL).value.length !== 0) identifier.fail();
}

const NO_PARAMETERS = encodeDer(DER.NULL);

function encodeIdentifier(oid: string, ...parameters: readonly Bytes[]): Bytes {
  return encodeDer(DER.SEQUENCE, encodeDerOid(oid), ...parameters);
}

function encodePss(hashOid: string, salt: number): Bytes {
  const hash = encodeIdentifier(hashOid, NO_PARAMETERS);
  const parameters = encodeDer(
    DER.SEQUENCE,
    encodeDer(0xa0, hash),
    encodeDer(0xa1, encodeIdentifier(OID.MGF1, hash)),
    encodeDer(0xa2, encodeDer(DER.INTEGER, Uint8Array.of(salt))),
  );
  return encodeIdentifier(OID.RSA_PSS, parameters);
}

const ENCODINGS: Readonly<Record<SignatureAlgorithm, Bytes>> = {
  'ecdsa-sha256': encodeIdentifier(OID.ECDSA_SHA256),
  'ecdsa-sha384': encodeIdentifier(OID.ECDSA_SHA384),
  'rsa-pkcs1-sha256': encodeIdentifier(OID.RSA_SHA256, NO_PARAMETERS),
  'rsa-pkcs1-sha384': encodeIdentifier(OID.RSA_SHA384, NO_PARAMETERS),
  'rsa-pss-sha256': encodePss(OID.SHA256, 32),
  'rsa-pss-sha384': encodePss(OID.SHA384, 48),
};

/** The DER AlgorithmIdentifier of a signature. */
export function encodeSignatureAlgorithm(algorithm: SignatureAlgorithm): Bytes {
  return copyBytes(ENCODINGS[algorithm]);
}
