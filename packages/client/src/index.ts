export {
  createAttestationClient,
  type AttestationClient,
  type AttestKind,
  type AttestRequest,
} from './attestation-client.ts';
export { ClientError, type ClientErrorCode, type Issue } from './client-error.ts';
export {
  createInferenceClient,
  type InferAnswer,
  type InferenceClient,
  type InferRequest,
  type Tensor,
} from './inference-client.ts';
export {
  parseReceipt,
  RECEIPT_TYPE,
  verifyReceipt,
  type ExpectedReceipt,
  type Receipt,
} from './receipt.ts';
export type {
  HeatMap,
  ImageType,
  NewPatient,
  RecordsClient,
  Session,
  StoredImage,
} from './records-api.ts';
export { MRN_SYSTEM } from './records-bodies.ts';
export { createRecordsClient } from './records-client.ts';
export type { EventBatch, Phase, RecordsEvent } from './records-events.ts';
export {
  displayName,
  type FindingView,
  type Gender,
  type ModelView,
  type PatientView,
  type ReportView,
  type ResultEvidence,
  type StudyView,
  type TaskStatus,
  type TaskView,
} from './records-views.ts';
export {
  fetchEvidence,
  UNREACHABLE_CODES,
  verifyService,
  type VerifyServiceOptions,
} from './verify-service.ts';
export type { BrokerAddress, BrokerRefusal } from './broker-channel.ts';
export {
  BrokerClient,
  currentVersion,
  fetchSecret,
  type AttestedIdentity,
  type CounterMove,
  type PartyVoice,
  type SecretQuery,
} from './broker-client.ts';
export type { CertificateQuery, CertifiedKey } from './broker-certify.ts';
export {
  fetchCertificateAuthorities,
  signCertificateAuthorities,
  verifyCertificateAuthorities,
  type AuthoritiesTrust,
  type CertificateAuthorities,
  type VerifiedAuthorities,
} from './broker-certificates.ts';
export {
  machineOf,
  openStateKey,
  sealStateKey,
  type ReleasedStateKey,
} from './broker-replica.ts';
export {
  manifestExtension,
  serviceUri,
  verifyServiceCertificate,
  type ServiceCertificate,
  type ServiceCertificateTrust,
} from './service-certificate.ts';
export {
  createHeadFeed,
  fetchHead,
  fetchHeads,
  fetchManifestHistory,
  fetchManifestText,
  type HeadFeed,
  type HeadSource,
} from './broker-heads.ts';
export {
  createBrokerSession,
  type BrokerSession,
  type BrokerSessionOptions,
  type CounterKeeper,
  type SecretKeeper,
} from './broker-session.ts';
export { createHeadJudge } from './head-judge.ts';
export {
  followBroker,
  ManifestFollower,
  type Agreement,
  type AgreementListener,
  type ManifestFollowerOptions,
  type Offer,
} from './manifest-follower.ts';
export {
  PARTY_STATEMENT_TYP,
  signPartyStatement,
  type PartyPurpose,
  type PartyStatement,
} from './broker-statement.ts';
export {
  createVaultClient,
  type VaultClient,
  type VaultClientOptions,
  type VaultKeyQuery,
} from './vault-client.ts';
export type { VaultRelease } from './vault-release.ts';
