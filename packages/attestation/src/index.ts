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
export { CheckList } from './check-list.ts';
export {
  canonicalManifest,
  manifestId,
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
  type VaultAgreement,
  type VaultKey,
} from './manifest/manifest.ts';
export type { ManifestBridge, TrustedManifest } from './manifest/trusted-manifest.ts';
export {
  isVerified,
  type PeerClaims,
  type VerifiedCaller,
  type VerifiedPeer,
} from './peer/verified-peer.ts';
export { INTEL_ROOT, type IntelCollateral, type TrustAnchor } from './intel/collateral.ts';
export { WEB_CRYPTO, type EvidenceCrypto, type P256Key } from './intel/evidence-crypto.ts';
export { parseManifest, parseManifestFile, type ManifestFile } from './manifest/parse-manifest.ts';
export { partyKeysDigest } from './manifest/party-digest.ts';
export { MANIFEST_TYP, signManifest } from './manifest/sign-manifest.ts';
export {
  keysOf,
  verifyManifest,
  type ManifestTrust,
  type PartyKeys,
} from './manifest/verify-manifest.ts';
export { renewCollateral, type CollateralTerms } from './simulated/create-collateral.ts';
export { createSimulatedPlatform } from './simulated/create-platform.ts';
export { createSimulatedQuote } from './simulated/create-quote.ts';
export type { ReportFacts } from './simulated/enclave-report.ts';
export { exportPlatform, importPlatform } from './simulated/export-platform.ts';
export {
  platformCollateral,
  platformRootDigest,
  type SimulatedPlatform,
} from './simulated/simulated-platform.ts';
export {
  claimsOfToken,
  type CommonTokenClaims,
  type SgxTokenClaims,
  type SnpTokenClaims,
  type TdxTokenClaims,
  type TokenEvidenceClaims,
} from './token/claims-of-token.ts';
export { parseIssuerKeys } from './token/parse-issuer-keys.ts';
export { signToken } from './token/sign-token.ts';
export {
  verifyToken,
  type TokenClaims,
  type TokenCode,
  type TokenIssuer,
} from './token/verify-token.ts';
export { findingsOf } from './appraisal/findings.ts';
export type { QuoteVerification, RefusedTcb } from './intel/intel-quote.ts';
export type { IntelQuoteOptions } from './intel/quote-options.ts';
export { VerificationCache, type VerificationCacheLimits } from './intel/verification-cache.ts';
export { verifyMany } from './intel/verify-many.ts';
export { verifySgxQuote } from './sgx/verify-sgx-quote.ts';
export { verifyTdxQuote } from './tdx/verify-tdx-quote.ts';
export { admit, admitToken } from './manifest/admit.ts';
export { CHECK_GROUPS, groupChecks, groupOfCheck, type CheckGroup } from './peer/check-groups.ts';
export { pinnedIssuers, type PinnedIssuer } from './peer/pinned-issuers.ts';
export { verifyCaller, type CallerTrust } from './peer/verify-caller.ts';
export { verifyPeer, type PeerTrust } from './peer/verify-peer.ts';
export { verifySimulatedQuote } from './simulated/verify-simulated-quote.ts';
export type {
  AppraisalPolicy,
  BitPolicy,
  SgxPolicy,
  SnpPolicy,
  SnpTcbPolicy,
  TcbPolicy,
  TdxPolicy,
} from './appraisal/appraisal-policy.ts';
export { appraise, type ClaimsAppraisal } from './appraisal/appraise.ts';
export type { SnpVekClaims } from './claims.ts';
export { AMD_INTERMEDIATES, AMD_ROOTS, type AmdRoot } from './snp/amd-roots.ts';
export { productOfCpuid } from './snp/product.ts';
export { parseSnpReport, type SnpCpuid, type SnpReport } from './snp/report.ts';
export { WEB_SNP_CRYPTO, type SnpCrypto, type SnpKey } from './snp/snp-crypto.ts';
export type { SnpProduct } from './snp/tcb.ts';
export { verifySnpReport, type SnpReportOptions } from './snp/verify-snp-report.ts';
export {
  verifyEvidence,
  type BareEvidence,
  type EvidencePrimitives,
  type EvidenceTrust,
} from './evidence/verify-evidence.ts';
export {
  encodeSnpEndorsements,
  snpEndorsementsOf,
  type SnpEndorsements,
} from './snp/endorsements.ts';
export {
  encodeAzureEvidence,
  parseAzureEvidence,
  type AzureEvidence,
} from './azure-hcl/azure-evidence.ts';
export { checkHclBinding, type BoundHclReport } from './azure-hcl/hcl-binding.ts';
export { parseHclReport, type HclReport } from './azure-hcl/hcl-report.ts';
export { parseHclRuntimeClaims, type HclRuntimeClaims } from './azure-hcl/runtime-claims.ts';
export { parseTpmAttest, type TpmAttest, type TpmQuote } from './azure-hcl/tpm-quote.ts';
export {
  verifyHclReport,
  type HclClaims,
  type HclHardware,
  type HclReportOptions,
} from './azure-hcl/verify-hcl-report.ts';
export { unwrapOpenEnclaveReport } from './open-enclave/open-enclave-report.ts';
export {
  encodeBundle,
  intelEntry,
  parseBundle,
  snpEntry,
  type BundleEntry,
  type BundleOrigin,
  type EntryNotes,
} from './collateral/bundle.ts';
export { createBundleSource } from './collateral/bundle-source.ts';
export type { CollateralFailure, CollateralFailureCode } from './collateral/collateral-failure.ts';
export type { CollateralProtocol, ServerAnswer } from './collateral/collateral-protocol.ts';
export type {
  DocumentOrigin,
  Fetched,
  Freshness,
  IntelCollateralSource,
  IntelQuery,
  PckCa,
  SnpEndorsementSource,
  SnpQuery,
} from './collateral/collateral-source.ts';
export {
  describeEntry,
  type DescribedDocument,
  type DocumentVerdict,
} from './collateral/describe-collateral.ts';
export type { CollateralFetch } from './collateral/document-client.ts';
export type { DocumentStore } from './collateral/document-store.ts';
export type { EvaluationNumber, EvaluationNumbers } from './collateral/evaluation-numbers.ts';
export { intelQueryOf, pckCaOf, snpQueryOf } from './collateral/evidence-query.ts';
export {
  createPccsProtocol,
  createPcsProtocol,
  createThimProtocol,
  type IntelServer,
  type TcbSelection,
} from './collateral/intel-protocols.ts';
export { createKdsProtocol } from './collateral/kds-protocol.ts';
export {
  createIntelSource,
  createSnpSource,
  type IntelServerSource,
  type RemoteSourceOptions,
} from './collateral/remote-sources.ts';
export { createThimAmdProtocol } from './collateral/thim-amd-protocol.ts';
export { parsePckExtension, type PckExtension } from './intel/pck-extension.ts';
export { intelSourcesInOrder, snpSourcesInOrder } from './collateral/sources-in-order.ts';
export { parseSnpCertificateTable, type SnpCertificateTable } from './snp/certificate-table.ts';
export {
  compilePolicy,
  type CompiledPolicy,
  type IssuedClaims,
  type PolicyOutcome,
  type PolicyRefusalCode,
} from './policy/compile-policy.ts';
export { boundJmesPath, type JmesPath, type JmesPathLibrary } from './policy/jmespath.ts';
export { PolicyParsingError } from './policy/parsing-error.ts';
export {
  serviceClaim,
  type ClaimIssuer,
  type ClaimValue,
  type ClaimValueType,
  type PolicyClaim,
} from './policy/policy-claim.ts';
export { policyHash, policyTokenHash } from './policy/policy-hash.ts';
export type { ConditionTrace, NearMiss, RuleTrace } from './policy/trace.ts';
export { BROKER_ANSWER, brokerKeyOf } from './head/broker-statement.ts';
export { checkHead, checkHeads, type HeadTrust } from './head/check-head.ts';
export {
  signCounterReceipt,
  verifyCounterReceipt,
  type CounterReceipt,
} from './head/counter-receipt.ts';
export {
  headHash,
  partyOfHead,
  signHead,
  verifyHead,
  type Head,
  type VerifiedHead,
} from './head/head.ts';
export type { AgreementTrust, HeadJudge } from './peer/check-binding.ts';
export { HeadKeeper, type HeadKeeperOptions } from './head/head-keeper.ts';
export {
  openReleasedSecret,
  sealReleasedSecret,
  type ReleasedSecret,
  type SecretRequest,
  type SecretVersion,
} from './head/released-secret.ts';
export {
  signWitnessStatement,
  verifyWitnessStatement,
  type VerifiedWitnessStatement,
  type WitnessStatement,
} from './head/witness-statement.ts';
export {
  signingKeyReportData,
  signingQuoteExtension,
  verifySigningCertificate,
  type SigningCertificate,
} from './token/signing-certificate.ts';
export {
  CLAIMS_VERSION,
  hasKss,
  incomingClaims,
  scalarClaimsOf,
  type ScalarClaims,
} from './policy/service-claims.ts';
