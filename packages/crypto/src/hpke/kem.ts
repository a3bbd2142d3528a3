import type { Bytes } from '@cloister/bytes';

/** The KEMs that Cloister knows, by the names that manifests use. */
export type KemName = 'x-wing' | 'x25519' | 'p-256';

/** KEM identifiers: RFC 9180 section 7.1 and, for X-Wing, draft-connolly-cfrg-xwing-kem. */
export const KEM_IDS: Readonly<Record<KemName, number>> = {
  'x-wing': 0x647a,
  x25519: 0x0020,
  'p-256': 0x0010,
};

/** A public key that was found fit for use. */
export interface KemPublicKey {
  readonly kem: KemName;
  /** SerializePublicKey of RFC 9180 section 4. */
  readonly bytes: Bytes;
  /** A fresh shared secret and what carries it; throws HpkeError. */
  encapsulate(): Promise<{ readonly sharedSecret: Bytes; readonly enc: Bytes }>;
}

/** A private key with its public half. Whoever calls `serialize` holds the secret. */
export interface KemPrivateKey {
  readonly kem: KemName;
  readonly publicKey: Bytes;
  /** SerializePrivateKey of RFC 9180 section 4. */
  serialize(): Bytes;
  /** The shared secret of an encapsulation; throws HpkeError where it cannot be one. */
  decapsulate(enc: Bytes): Promise<Bytes>;
}

/** A key encapsulation mechanism in the shape of RFC 9180 section 4. */
export interface Kem {
  readonly name: KemName;
  readonly id: number;
  /** Nsecret, Nenc, Npk and Nsk of RFC 9180 section 4. */
  readonly sizes: {
    readonly secret: number;
    readonly enc: number;
    readonly publicKey: number;
    readonly privateKey: number;
  };
  generateKeyPair(): Promise<KemPrivateKey>;
  /** DeriveKeyPair: the same key for the same keying material. */
  deriveKeyPair(ikm: Bytes): Promise<KemPrivateKey>;
  deserializePublicKey(bytes: Bytes): Promise<KemPublicKey>;
  deserializePrivateKey(bytes: Bytes): Promise<KemPrivateKey>;
}
