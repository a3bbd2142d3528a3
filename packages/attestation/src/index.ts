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
