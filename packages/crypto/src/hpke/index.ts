export {
  AEAD_IDS,
  computeNonce,
  createHpke,
  HKDF_SHA256_ID,
  type AeadName,
  type ExportingContext,
  type Hpke,
  type HpkeOptions,
  type RecipientContext,
  type SenderContext,
} from './hpke.ts';
export type { Awaitable } from './awaitable.ts';
export { HpkeError, type HpkeErrorCode } from './hpke-error.ts';
export { KEM_IDS, type Kem, type KemName, type KemPrivateKey, type KemPublicKey } from './kem.ts';
export { sha3Of256, shake256 } from './keccak.ts';
export { hkdfExpand, hkdfExtract } from './labeled-kdf.ts';
export { createNodePrimitives, type NodeCrypto } from './node-primitives.ts';
export type {
  AesGcm,
  DhGroup,
  DhPrivateKey,
  HpkePrimitives,
  MlKem768,
  MlKemPrivateKey,
  MlKemPublicKey,
} from './primitives.ts';
export { WEB_PRIMITIVES } from './web-primitives.ts';
