import type { Bytes } from '@cloister/bytes';
import type { Awaitable } from './awaitable.ts';

/** A private key of a Diffie-Hellman group. */
export interface DhPrivateKey {
  /** The serialised public key (RFC 9180 section 7.1.1). */
  readonly publicKey: Bytes;
  /**
   * The shared x coordinate; throws where the group refuses the result. A provider may remember what
   * it made of `publicKey` for as long as that very array lives: its bytes must not change.
   */
  agree(publicKey: Bytes): Awaitable<Bytes>;
}

/** X25519 or P-256 as a provider offers it. */
export interface DhGroup {
  generate(): Awaitable<DhPrivateKey>;
  /** The key of a 32-byte scalar; throws where it is none. */
  import(privateKey: Bytes): Awaitable<DhPrivateKey>;
}

/** An ML-KEM-768 public key after the checks of FIPS 203 section 7.2. */
export interface MlKemPublicKey {
  encapsulate(): Awaitable<{ readonly ciphertext: Bytes; readonly sharedSecret: Bytes }>;
}

/** An ML-KEM-768 private key. */
export interface MlKemPrivateKey {
  readonly publicKey: Bytes;
  decapsulate(ciphertext: Bytes): Awaitable<Bytes>;
}

/** ML-KEM-768 (FIPS 203) as a provider offers it. */
export interface MlKem768 {
  /** The key pair of the seed d ‖ z (64 bytes). */
  import(seed: Bytes): Awaitable<MlKemPrivateKey>;
  importPublic(publicKey: Bytes): Awaitable<MlKemPublicKey>;
}

/** AES-GCM with a 16-byte tag under one key. */
export interface AesGcm {
  /**
   * Seals a message that comes in pieces; what it gives, one after the other, is the ciphertext and
   * the tag, in memory that is the caller's alone. In pieces, so that nobody has to copy a large message to put something before it.
   */
  seal(nonce: Bytes, aad: Bytes, pieces: readonly Bytes[]): Awaitable<readonly Bytes[]>;
  /**
   * Opens a ciphertext and its tag, which may come in pieces; gives the plaintext in pieces, cut as the
   * provider likes. Throws where the tag is wrong, before anybody has seen any of it.
   */
  open(nonce: Bytes, aad: Bytes, pieces: readonly Bytes[]): Awaitable<readonly Bytes[]>;
}

/** What HPKE is built from. WebCrypto is the default; a faster provider is passed as an argument. */
export interface HpkePrimitives {
  /** Random bytes that are a key: made by the provider's key generator. */
  generateSecret(): Awaitable<Bytes>;
  sha256(data: Bytes): Awaitable<Bytes>;
  /** SHA3-256 (FIPS 202). */
  sha3Of256(data: Bytes): Awaitable<Bytes>;
  /** The parts of the data count as one, one after the other. */
  hmacSha256(key: Bytes, ...data: readonly Bytes[]): Awaitable<Bytes>;
  aesGcm(key: Bytes): Awaitable<AesGcm>;
  readonly x25519: DhGroup;
  readonly p256: DhGroup;
  readonly mlKem768: MlKem768;
}
