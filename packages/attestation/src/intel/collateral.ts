import { decodeHex, type Bytes } from '@cloister/bytes';

/** Intel's statements that a quote is judged by, as they were served (spec/evidence.md 3). */
export interface IntelCollateral {
  /** The signed envelope's text, byte for byte. */
  readonly tcbInfo: string;
  /** PEM: the TCB signing certificate, then the root. */
  readonly tcbInfoChain: string;
  /** The signed envelope's text, byte for byte. */
  readonly qeIdentity: string;
  /** PEM: the TCB signing certificate, then the root. */
  readonly qeIdentityChain: string;
  /** PEM: needed where the quote does not carry its PCK certificate chain. */
  readonly pckChain?: string;
  /** DER: by the CA that issued the PCK certificate. */
  readonly pckCrl: Bytes;
  /** DER: by the root CA. */
  readonly rootCaCrl: Bytes;
}

/**
 * A root that counts: by its SubjectPublicKeyInfo, or by the SHA-256 (lower hex) of it. The root
 * certificate in a chain is never trusted; with a digest its key is taken if it has that digest.
 */
export type TrustAnchor = { readonly spki: Bytes } | { readonly spkiSha256: string };

/**
 * The key of Intel SGX Root CA, valid from 2018 to 2049; its SHA-256 begins a0af0312
 * (spec/evidence.md 2.1). Every encoding of the root certificate has it.
 */
export const INTEL_ROOT: TrustAnchor & { readonly spki: Bytes } = {
  spki: decodeHex(
    '3059301306072a8648ce3d020106082a8648ce3d030107034200040ba9c4' +
      'c0c0c86193a3fe23d6b02cda10a8bbd4e88e48b4458561a36e705525f567918e' +
      '2edc88e40d860bd0cc4ee26aacc988e505a953558c453f6b0904ae7394',
  ),
};
