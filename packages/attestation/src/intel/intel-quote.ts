import { equalBytes } from '@cloister/bytes';
import type { IntelPlatformClaims, TcbStatus } from '../claims.ts';
import type { Check, EvidenceCode } from '../verification.ts';
import {
  keptAttestationKey,
  newAttestationKey,
  verifyQeReport,
  type VerdictSource,
} from './cached-verdicts.ts';
import { WEB_CRYPTO } from './evidence-crypto.ts';
import type { VerifiedPckChain } from './pck-chain.ts';
import { Progress, Refusal, type Step } from './progress.ts';
import { findQeMismatch, type QeIdentity } from './qe-identity.ts';
import type { IntelQuoteOptions } from './quote-options.ts';
import { parseQuote, type Quote } from './quote.ts';
import type { TcbEvaluation, TcbInputs } from './tcb-evaluation.ts';
import type { TcbInfo } from './tcb-info.ts';
import { Validity } from './validity.ts';
import { VerificationCache } from './verification-cache.ts';
import { verifyCollateral, type VerifiedCollateral } from './verify-collateral.ts';

/** A verification of an Intel quote: as `Verification`, and it explains a refused TCB. */
export type QuoteVerification<Claims> =
  | { readonly ok: true; readonly claims: Claims; readonly checks: readonly Check[] }
  | {
      readonly ok: false;
      readonly code: EvidenceCode;
      readonly checks: readonly Check[];
      /** Only where every signature verified, and the code is tcb.revoked or tcb.unsupported. */
      readonly refused?: RefusedTcb;
    };

/** What is known of evidence that is genuine, but whose TCB is revoked or has no level. */
export interface RefusedTcb {
  /** Absent where no level matches. */
  readonly tcbStatus?: TcbStatus;
  readonly advisoryIds?: readonly string[];
  /** As of `appraise`, without the TCB's. */
  readonly findings: readonly string[];
}

/** What a TEE adds to the procedure: its body, its module, and what it claims. */
export interface QuoteKind<Body, Claims> {
  readonly tee: 'sgx' | 'tdx';
  readonly qeIdentityId: 'QE' | 'TD_QE';
  readonly parseBody: (quote: Quote) => Body;
  readonly checkModule?: (body: Body, tcbInfo: TcbInfo) => void;
  readonly evaluateTcb: (body: Body, inputs: TcbInputs) => TcbVerdict;
  readonly claimsOf: (body: Body, platform: IntelPlatformClaims, verdict: TcbVerdict) => Claims;
  readonly findingsOf: (body: Body) => readonly string[];
}

/** The TCB's final status; with those of launch and now where a TDX module decides (7.1). */
export interface TcbVerdict extends Omit<TcbEvaluation, 'status'> {
  readonly status: TcbStatus;
  readonly launch?: TcbStatus;
  readonly current?: TcbStatus;
}

const MODULE_STEP = 'TDX module is one of the TCB info';
/** In the order of spec/evidence.md 4; the code is that of input which cannot be read. */
const TDX_STEPS: readonly Step[] = [
  { check: 'quote format', code: 'quote.format' },
  { check: 'PCK chain leads to a trusted root', code: 'pck.chain' },
  { check: 'root CA CRL is by the root', code: 'crl.format' },
  { check: 'PCK CRL is by the PCK CA', code: 'crl.format' },
  { check: 'PCK CA is not revoked', code: 'pckca.revoked' },
  { check: 'PCK certificate is not revoked', code: 'pck.revoked' },
  { check: 'CRLs are in date', code: 'crl.expired' },
  { check: 'PCK chain is in date', code: 'pck.expired' },
  { check: 'TCB info is signed', code: 'tcbinfo.signature' },
  { check: 'TCB info signer is not revoked', code: 'tcbsigner.revoked' },
  { check: 'TCB info is in date', code: 'tcbinfo.expired' },
  { check: 'QE identity is signed', code: 'qeid.signature' },
  { check: 'QE identity signer is not revoked', code: 'tcbsigner.revoked' },
  { check: 'QE identity is in date', code: 'qeid.expired' },
  { check: 'TCB info is of this TEE and platform', code: 'tcbinfo.mismatch' },
  { check: 'QE identity is of this TEE', code: 'qeid.mismatch' },
  { check: MODULE_STEP, code: 'tdxmodule.mismatch' },
  { check: 'QE report is signed by the PCK key', code: 'qereport.signature' },
  { check: 'QE report names the attestation key', code: 'qereport.data' },
  { check: 'QE report matches the QE identity', code: 'qeid.mismatch' },
  { check: 'quote is signed by the attestation key', code: 'quote.signature' },
  { check: 'TCB level exists', code: 'tcb.unsupported' },
  { check: 'TCB is not revoked', code: 'tcb.revoked' },
];
const SGX_STEPS = TDX_STEPS.filter(({ check }) => check !== MODULE_STEP);

/**
 * The procedure of spec/evidence.md 4, A to K, for a quote of one TEE. It says whether the claims
 * are genuine; whether they are acceptable is appraisal.
 */
export async function verifyIntelQuote<Body, Claims>(
  bytes: Uint8Array,
  kind: QuoteKind<Body, Claims>,
  options: IntelQuoteOptions,
): Promise<QuoteVerification<Claims>> {
  const progress = new Progress(kind.tee === 'tdx' ? TDX_STEPS : SGX_STEPS);
  let genuine: { readonly body: Body; verdict?: TcbVerdict } | undefined;
  try {
    const quote = readQuote(bytes, kind.tee, options);
    const body = kind.parseBody(quote);
    const { cache = new VerificationCache(), crypto = WEB_CRYPTO } = options;
    const source = { cache, crypto };
    const validity = new Validity(options.at, options.allowExpiredCollateral?.graceSeconds ?? 0);
    const collateral = await verifyCollateral(quote, options, source, validity, progress);
    const { chain, tcbInfo, qeIdentity } = collateral;
    progress.begin('TCB info is of this TEE and platform');
    checkPlatform(kind.tee, collateral);
    progress.begin('QE identity is of this TEE');
    if (qeIdentity.id !== kind.qeIdentityId) {
      throw new Refusal('qeid.mismatch', 'QE identity is of another enclave');
    }
    if (kind.checkModule !== undefined) {
      progress.begin(MODULE_STEP);
      kind.checkModule(body, tcbInfo);
    }
    const qeIsvSvn = await verifyQuoteSignatures(quote, chain, qeIdentity, source, progress);

    progress.begin('TCB level exists');
    genuine = { body };
    const inputs = { tcbInfo, qeIdentity, pck: chain.extension, qeIsvSvn };
    const verdict = kind.evaluateTcb(body, inputs);
    genuine.verdict = verdict;
    progress.note(verdict.status);
    progress.begin('TCB is not revoked');
    if (verdict.status === 'Revoked') throw new Refusal('tcb.revoked', 'TCB is revoked');
    const platform = platformClaims(collateral, verdict, validity.expired, quote.trailingBytes);
    const claims = kind.claimsOf(body, platform, verdict);
    return { ok: true, claims, checks: progress.passed() };
  } catch (error) {
    const answer = { ok: false, ...progress.failed(error) } as const;
    if (genuine === undefined) return answer;
    return { ...answer, refused: explainTcb(genuine.verdict, kind.findingsOf(genuine.body)) };
  }
}

function readQuote(bytes: Uint8Array, tee: 'sgx' | 'tdx', options: IntelQuoteOptions): Quote {
  const quote = parseQuote(bytes);
  if (quote.tee !== tee) throw new Refusal('quote.format', 'quote is of another TEE');
  if (options.refuseTrailingBytes === true && quote.trailingBytes > 0) {
    throw new Refusal('quote.format', 'bytes after the signature data');
  }
  return quote;
}

/** Step E.2 and E.3: the TCB info is of this kind of TEE, processor and PCE. */
function checkPlatform(tee: 'sgx' | 'tdx', { chain, tcbInfo }: VerifiedCollateral): void {
  const { fmspc, pceId } = chain.extension;
  const code = 'tcbinfo.mismatch';
  if (tcbInfo.tee !== tee) throw new Refusal(code, 'TCB info is for another TEE');
  if (!equalBytes(tcbInfo.fmspc, fmspc)) throw new Refusal(code, 'TCB info: FMSPC');
  if (!equalBytes(tcbInfo.pceId, pceId)) throw new Refusal(code, 'TCB info: PCE-ID');
}

/** Steps G to J: PCK key → QE report → attestation key → quote. Gives the QE's SVN. */
async function verifyQuoteSignatures(
  quote: Quote,
  chain: VerifiedPckChain,
  identity: QeIdentity,
  source: VerdictSource,
  progress: Progress,
): Promise<number> {
  progress.begin('QE report is signed by the PCK key');
  let attestation = keptAttestationKey(quote, chain, source);
  if (attestation === undefined) {
    await verifyQeReport(quote, chain);
    progress.begin('QE report names the attestation key');
    attestation = await newAttestationKey(quote, chain, source);
  }
  progress.begin('QE report matches the QE identity');
  const mismatch = findQeMismatch(attestation.qeReport, identity);
  if (mismatch !== undefined) throw new Refusal('qeid.mismatch', `QE report: ${mismatch}`);
  progress.begin('quote is signed by the attestation key');
  if (!(await attestation.key.verify(quote.signature, quote.signed))) {
    throw new Refusal('quote.signature', 'quote is not signed by the attestation key');
  }
  return attestation.qeReport.isvSvn;
}

function platformClaims(
  { chain, tcbInfo, qeIdentity }: VerifiedCollateral,
  verdict: TcbVerdict,
  collateralExpired: boolean,
  trailingBytes: number,
): IntelPlatformClaims {
  return {
    ...chain.claims,
    tcbStatus: verdict.status,
    advisoryIds: verdict.advisoryIds,
    tcbDate: verdict.tcbDate,
    tcbEvaluationDataNumber: Math.min(
      tcbInfo.tcbEvaluationDataNumber,
      qeIdentity.tcbEvaluationDataNumber,
    ),
    collateralExpired,
    trailingBytes,
  };
}

function explainTcb(verdict: TcbVerdict | undefined, findings: readonly string[]): RefusedTcb {
  return verdict === undefined
    ? { findings }
    : { tcbStatus: verdict.status, advisoryIds: verdict.advisoryIds, findings };
}
