import {
  appraise,
  createBundleSource,
  INTEL_ROOT,
  intelCollateralOf,
  intelQueryOf,
  intelSourcesInOrder,
  parseHclReport,
  reportDataFor,
  snpEndorsementsOf,
  snpQueryOf,
  snpSourcesInOrder,
  verifyHclReport,
  verifySgxQuote,
  verifySnpReport,
  verifyTdxQuote,
  type AppraisalPolicy,
  type ClaimsAppraisal,
  type EvidenceClaims,
  type EvidenceEnvelope,
  type Fetched,
  type HclClaims,
  type HclHardware,
  type IntelCollateral,
  type TrustAnchor,
  type Verification,
} from '@cloister/attestation';
import { MalformedError, type Bytes } from '@cloister/bytes';
import { sha256 } from '@cloister/crypto';
import { CommandError } from '../command-error.ts';
import { describeFailure, describeOrigin, type OpenSources } from './collateral-sources.ts';
import { readAzureEvidence, type EvidenceFile } from './evidence-file.ts';
import type { CollateralAtHand, LooseCertificates } from './read-collateral.ts';

/** By what the evidence in a file is judged. */
export interface FileTrust {
  readonly at: Date;
  readonly collateral: CollateralAtHand;
  /** Asked where nothing at hand fits; none unless told. */
  readonly sources?: OpenSources;
  /** Roots in the place of Intel's, by the digest of their keys: what they vouch for is simulated. */
  readonly simulatedRoots: readonly string[];
  readonly policy: AppraisalPolicy;
  /** What the evidence must be bound to, as a file beside it. */
  readonly runtimeData?: Bytes;
  readonly nonce?: Bytes;
  /** Danger: see `IntelQuoteOptions`. */
  readonly graceSeconds?: number;
}

/** What came of it. */
export interface FileVerdict {
  readonly verification: Verification<EvidenceClaims | HclClaims>;
  /** Only of claims that are genuine. */
  readonly appraisal?: ClaimsAppraisal;
  /** Where the collateral came from, in words. */
  readonly origins: readonly string[];
}

type Judged = Pick<FileVerdict, 'verification' | 'origins'>;

/**
 * Verifies evidence from a file with collateral that is at hand, then appraises its claims by the
 * policy. CommandError where there is no collateral for it.
 */
export async function verifyFile(file: EvidenceFile, trust: FileTrust): Promise<FileVerdict> {
  const judged = await judge(file, trust);
  const { verification } = judged;
  if (!verification.ok) return judged;
  const { claims } = verification;
  const runtimeData = file.kind === 'envelope' ? file.envelope.runtimeData : trust.runtimeData;
  // In a confidential VM of Azure the quote of the vTPM carries the digest: `judgeHcl` compared it.
  if (claims.tee === 'azure-cvm')
    return { ...judged, appraisal: appraise(claims.hardware, trust.policy) };
  const bound = runtimeData === undefined ? {} : { reportData: await reportDataFor(runtimeData) };
  return { ...judged, appraisal: appraise(claims, { ...trust.policy, ...bound }) };
}

function judge(file: EvidenceFile, trust: FileTrust): Promise<Judged> {
  if (file.kind === 'envelope') return judgeEnvelope(file.envelope, trust);
  if (file.kind === 'quote') return judgeQuote(file.evidence, trust);
  if (file.kind === 'snp-report') return judgeSnp(file.evidence, trust);
  return judgeHcl(file, trust);
}

async function judgeEnvelope(envelope: EvidenceEnvelope, trust: FileTrust): Promise<Judged> {
  const { format, evidence, endorsements, runtimeData } = envelope;
  const own = endorsements === undefined ? [] : ['endorsements: in the envelope'];
  if (format === 'snp-report') {
    const given = endorsements && snpEndorsementsOf(endorsements);
    if (given === undefined) return judgeSnp(evidence, trust);
    const verification = await verifySnpReport(evidence, { ...given, at: trust.at });
    return { verification, origins: own };
  }
  if (format === 'azure-hcl') {
    return judgeHcl(readAzureEvidence(envelope), { ...trust, runtimeData }, endorsements);
  }
  if (format === 'simulated-sgx-quote' && trust.simulatedRoots.length === 0) {
    throw new CommandError('this is SIMULATED evidence: name its root with --simulated-root');
  }
  if (endorsements === undefined) return judgeQuote(evidence, trust);
  const verification = await verifyQuote(evidence, intelCollateralOf(endorsements), trust);
  return { verification, origins: own };
}

async function judgeQuote(quote: Bytes, trust: FileTrust): Promise<Judged> {
  const { value, origins } = await intelFor(quote, trust);
  return { verification: await verifyQuote(quote, value, trust), origins };
}

async function judgeSnp(report: Bytes, trust: FileTrust): Promise<Judged> {
  const { value, origins } = await snpFor(report, trust, {});
  const verification = await verifySnpReport(report, { ...value, at: trust.at });
  return { verification, origins };
}

async function judgeHcl(
  { evidence, beside }: Extract<EvidenceFile, { kind: 'hcl-report' }>,
  trust: FileTrust,
  endorsements?: EvidenceEnvelope['endorsements'],
): Promise<Judged> {
  const { tee, hardwareReport } = parseHclReport(evidence);
  const { tdQuote, vcek, tpmQuote } = beside;
  const given = endorsements === undefined ? [] : ['endorsements: in the envelope'];
  let hardware: HclHardware;
  let origins: readonly string[];
  if (tee === 'snp') {
    const found = endorsements
      ? { value: snpEndorsementsOf(endorsements), origins: given }
      : await snpFor(hardwareReport, trust, vcek === undefined ? {} : { vek: vcek });
    hardware = { tee, ...found.value };
    origins = found.origins;
  } else {
    if (tdQuote === undefined) {
      throw new CommandError('the TD quote is missing: a TDREPORT proves nothing to others');
    }
    const found = endorsements
      ? { value: intelCollateralOf(endorsements), origins: given }
      : await intelFor(tdQuote, trust);
    hardware = { tee, quote: tdQuote, collateral: found.value };
    origins = found.origins;
  }
  const { runtimeData } = trust;
  const nonce = trust.nonce ?? (runtimeData === undefined ? undefined : await sha256(runtimeData));
  const verification = await verifyHclReport(evidence, {
    hardware,
    at: trust.at,
    ...(tpmQuote === undefined ? {} : { tpmQuote }),
    ...(nonce === undefined ? {} : { nonce }),
  });
  return { verification, origins };
}

function verifyQuote(
  quote: Bytes,
  collateral: IntelCollateral,
  { at, simulatedRoots, graceSeconds }: FileTrust,
): Promise<Verification<EvidenceClaims>> {
  const anchors: readonly TrustAnchor[] =
    simulatedRoots.length === 0
      ? [INTEL_ROOT]
      : simulatedRoots.map((spkiSha256) => ({ spkiSha256 }));
  const lenient = graceSeconds === undefined ? {} : { allowExpiredCollateral: { graceSeconds } };
  // TEE type 0x81 at byte 4: a quote of the wrong kind is refused by either verifier.
  const verify = quote[4] === 0x81 ? verifyTdxQuote : verifySgxQuote;
  return verify(quote, { collateral, at, anchors, ...lenient });
}

interface Found<T> {
  readonly value: T;
  readonly origins: readonly string[];
}

async function intelFor(quote: Bytes, trust: FileTrust): Promise<Found<IntelCollateral>> {
  const { entries } = trust.collateral;
  const [pckChain] = entries.flatMap((entry) =>
    entry.kind === 'intel' && entry.collateral.pckChain !== undefined
      ? [entry.collateral.pckChain]
      : [],
  );
  const query = attempt(() => intelQueryOf(quote, { pckChain }));
  if (query === undefined) {
    throw new CommandError(
      'the quote names no platform, or cannot be read: try cloister quote inspect',
    );
  }
  const bundle = createBundleSource(entries, { now: () => trust.at });
  const source = intelSourcesInOrder([bundle, ...(trust.sources ? [trust.sources.intel] : [])]);
  const { tee, fmspc, ca } = query;
  const names = `--tee ${tee} --fmspc ${fmspc} --ca ${ca}`;
  return unwrap(await source.intel(query), `cloister collateral fetch ${names} --out <file>`);
}

async function snpFor(
  report: Bytes,
  trust: FileTrust,
  beside: LooseCertificates,
): Promise<Found<LooseCertificates & { readonly vek: Bytes }>> {
  const { entries, loose } = trust.collateral;
  const own = { ...loose, ...beside };
  const query = attempt(() => snpQueryOf(report));
  if (query !== undefined) {
    const bundle = createBundleSource(entries, { now: () => trust.at });
    const source = snpSourcesInOrder([bundle, ...(trust.sources ? [trust.sources.snp] : [])]);
    const answer = await source.snp(query);
    if (answer.ok) return unwrap(answer, '');
  }
  const { vek, ask = askOf(entries), ...rest } = own;
  if (vek === undefined) {
    throw new CommandError(
      'no certificates for this report: cloister collateral fetch --for <it> --out <file>',
    );
  }
  const origins = ['VCEK: beside the evidence'];
  return { value: { ...rest, vek, ...(ask === undefined ? {} : { ask }) }, origins };
}

/** An ASK of the bundle may serve other chips of its product line: the verifier tells. */
function askOf(entries: CollateralAtHand['entries']): Bytes | undefined {
  for (const entry of entries) if (entry.kind === 'snp') return entry.endorsements.ask;
  return undefined;
}

function unwrap<T>(answer: Fetched<T>, hint: string): Found<T> {
  if (answer.ok) {
    const lines = [...answer.failures.map(describeFailure), ...answer.origins.map(describeOrigin)];
    return { value: answer.value, origins: lines };
  }
  const reasons = answer.failures.map(describeFailure).join('; ');
  throw new CommandError(`no collateral for this evidence (${reasons}): ${hint}`);
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
