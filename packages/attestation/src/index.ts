export type {
  EvidenceClaims,
  IntelPlatformClaims,
  SgxClaims,
  SnpClaims,
  SnpTcb,
  TcbStatus,
  TdxClaims,
} from './claims.ts';
export type {
  Appraisal,
  Check,
  EvidenceCode,
  PolicyCode,
  Verification,
} from './verification.ts';
export type { Attester, EvidenceSource } from './attester.ts';
export {
  encodeRuntimeData,
  keyOf,
  parseRuntimeData,
  reportDataFor,
  type ModelIdentity,
  type RuntimeData,
  type RuntimeKey,
} from './binding/runtime-data.ts';
export {
  encodeEnvelope,
  encodeIntelEndorsements,
  EVIDENCE_FORMATS,
  intelCollateralOf,
  parseEnvelope,
  type EvidenceEnvelope,
  type EvidenceFormat,
  type NoncePath,
} from './evidence/envelope.ts';
export {
  manifestId,
  manifestJson,
  type AzureCvmIdentity,
  type EvidenceRules,
  type Identity,
  type Issuer,
  type Kem,
  type Manifest,
  type ModelAgreement,
  type Party,
  type SecretAgreement,
  type ServiceAgreement,
  type SgxIdentity,
  type SnpIdentity,
  type TdxIdentity,
  type TokenTee,
} from './manifest/manifest.ts';
export type { TrustedManifest } from './manifest/trusted-manifest.ts';
export { isVerified, type VerifiedCaller, type VerifiedPeer } from './peer/verified-peer.ts';
export { INTEL_ROOT, type IntelCollateral, type TrustAnchor } from './intel/collateral.ts';
export { WEB_CRYPTO, type EvidenceCrypto, type P256Key } from './intel/evidence-crypto.ts';
