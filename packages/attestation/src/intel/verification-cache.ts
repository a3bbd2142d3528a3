import type { Bytes } from '@cloister/bytes';
import type { Certificate } from '@cloister/crypto';
import type { VerifiedAmdCa } from '../snp/amd-ca.ts';
import type { VerifiedAmdCrl } from '../snp/amd-crl.ts';
import type { VerifiedVek } from '../snp/vek.ts';
import type { EnclaveReport } from './enclave-report.ts';
import type { P256Key } from './evidence-crypto.ts';
import { ContentLru } from './content-lru.ts';
import { Lru } from './lru.ts';
import type { VerifiedPckCa, VerifiedPckChain } from './pck-chain.ts';
import type { QeIdentity } from './qe-identity.ts';
import type { SignedDocument } from './signed-document.ts';
import type { TcbInfo } from './tcb-info.ts';
import type { VerifiedCrl } from './verified-crl.ts';

/** An attestation key that a QE vouched for under a PCK certificate. */
export interface VerifiedAttestationKey {
  readonly key: P256Key;
  /** The PCK key that signed the QE report: the verdict holds under it alone. */
  readonly pckSpki: Bytes;
  readonly qeReport: EnclaveReport;
}

/** How much a cache holds. */
export interface VerificationCacheLimits {
  /** PCK chains, VEKs, CAs, CRLs, TCB infos and QE identities: so many of each; 256 unless told. */
  readonly entries?: number;
  /** Attestation keys; 1024 unless told. 0 has every quote's QE report verified anew. */
  readonly attestationKeys?: number;
}

/**
 * What need not be verified twice: signature verdicts, parsed documents and imported keys, found
 * by their whole content and by the root they were verified with. No verdict on time, revocation
 * or TCB is kept: those are made for each quote. Only what was verified gets in.
 */
export class VerificationCache {
  readonly pckChains: ContentLru<VerifiedPckChain>;
  readonly pckCas: ContentLru<VerifiedPckCa>;
  /** CA certificates of verified PCK chains as read, by their PEM. */
  readonly caCertificates: Lru<Certificate>;
  readonly crls: ContentLru<VerifiedCrl>;
  readonly tcbInfos: Lru<SignedDocument<TcbInfo>>;
  readonly qeIdentities: Lru<SignedDocument<QeIdentity>>;
  readonly attestationKeys: ContentLru<VerifiedAttestationKey>;
  readonly veks: Lru<VerifiedVek>;
  readonly amdCas: Lru<VerifiedAmdCa>;
  readonly amdCrls: Lru<VerifiedAmdCrl>;

  constructor({ entries = 256, attestationKeys = 1024 }: VerificationCacheLimits = {}) {
    this.pckChains = new ContentLru(entries);
    this.pckCas = new ContentLru(entries);
    this.caCertificates = new Lru(entries);
    this.crls = new ContentLru(entries);
    this.tcbInfos = new Lru(entries);
    this.qeIdentities = new Lru(entries);
    this.attestationKeys = new ContentLru(attestationKeys);
    this.veks = new Lru(entries);
    this.amdCas = new Lru(entries);
    this.amdCrls = new Lru(entries);
  }

  /** Forgets everything. */
  clear(): void {
    this.pckChains.clear();
    this.pckCas.clear();
    this.caCertificates.clear();
    this.crls.clear();
    this.tcbInfos.clear();
    this.qeIdentities.clear();
    this.attestationKeys.clear();
    this.veks.clear();
    this.amdCas.clear();
    this.amdCrls.clear();
  }
}
