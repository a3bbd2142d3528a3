import { asBytes, copyBytes, DER, DerReader, MalformedError, type Bytes } from '@cloister/bytes';
import { ecdsaDerToRaw } from '../ecdsa-signature.ts';
import { parseSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts';

/** What certificates, revocation lists and requests have in common; byte members are views of `der`. */
export interface SignedStructure {
  readonly der: Bytes;
  /** What the signature covers, as it is. */
  readonly signed: Bytes;
  /** The contents of the same, to be read. */
  readonly contents: DerReader;
  /** The DER AlgorithmIdentifier beside the signature, which it does not cover. */
  readonly algorithm: Bytes;
  readonly signatureAlgorithm: SignatureAlgorithm;
  /** In the form that WebCrypto takes: r ‖ s for ECDSA. */
  readonly signature: Bytes;
}

/**
 * Reads the shell around something signed (SIGNED in X.509; RFC 5280, section 4.1.1; RFC 2986,
 * section 4.2): the contents, a known signature algorithm, and the signature. MalformedError for
 * all else, and for more than `maxLength` bytes.
 */
export function readSignedStructure(
  der: Uint8Array,
  { name, maxLength }: { readonly name: string; readonly maxLength: number },
): SignedStructure {
  if (der.length > maxLength) throw new MalformedError('too_large', name);
  const copy = copyBytes(der);
  const outer = new DerReader(copy, name);
  const shell = outer.enter(DER.SEQUENCE);
  outer.end();
  const signed = shell.expect(DER.SEQUENCE);
  const algorithm = shell.expect(DER.SEQUENCE);
  const bits = shell.octetAlignedBits();
  shell.end();
  const signatureAlgorithm = parseSignatureAlgorithm(shell.inside(algorithm));
  return {
    der: copy,
    signed: asBytes(signed.raw),
    contents: shell.inside(signed),
    algorithm: asBytes(algorithm.raw),
    signatureAlgorithm,
    signature: readSignature(signatureAlgorithm, bits, name),
  };
}

function readSignature(algorithm: SignatureAlgorithm, bits: Uint8Array, name: string): Bytes {
  if (algorithm === 'ecdsa-sha256') return ecdsaDerToRaw(bits, 32, `${name} signature`);
  if (algorithm === 'ecdsa-sha384') return ecdsaDerToRaw(bits, 48, `${name} signature`);
  return asBytes(bits);
}
