import { equalBytes, isZero, type Bytes } from '@cloister/bytes';
import type { SnpClaims } from '../claims.ts';
import type { TrustAnchor } from '../intel/collateral.ts';
import { Progress, Refusal, type Step } from '../intel/progress.ts';
import { Validity } from '../intel/validity.ts';
import { VerificationCache } from '../intel/verification-cache.ts';
import type { Check, Verification } from '../verification.ts';
import { isFoundAmong } from './amd-ca.ts';
import { checkAskNotRevoked, isCrlOf, verifyAmdCrl } from './amd-crl.ts';
import { AMD_ROOTS } from './amd-roots.ts';
import { agreeOnProduct } from './product.ts';
import { checkGuestPolicy, parseSnpReport, type SnpReport } from './report.ts';
import { snpClaimsOf, type SnpTcbs } from './snp-claims.ts';
import { WEB_SNP_CRYPTO, type SnpCrypto } from './snp-crypto.ts';
import { isSameTcb, parseSnpTcb, reachesTcb, type SnpProduct } from './tcb.ts';
import { packChain, parseVek, verifyVek, type Vek, type VerifiedVek } from './vek.ts';

/** What an SEV-SNP report is verified with. */
export interface SnpReportOptions {
  /** The VCEK or VLEK certificate, DER. */
  readonly vek: Bytes;
  /** The ASK (of a VLEK: the ASVK), DER. */
  readonly ask?: Bytes | undefined;
  /** The ARK, DER; it counts by its key. Only AMD's own ASKs, known by digest, do without. */
  readonly ark?: Bytes | undefined;
  /** The ARK's CRL, DER. Without it nothing is known of revocation, and the check is skipped. */
  readonly crl?: Bytes | undefined;
  /** The caller's clock; libraries have none. */
  readonly at: Date;
  /** Roots that count; AMD's unless told. */
  readonly anchors?: readonly TrustAnchor[];
  /** Keeps signature verdicts and keys for the next report. */
  readonly cache?: VerificationCache;
  /** WebCrypto unless told. */
  readonly crypto?: SnpCrypto;
  /** Danger: lets guest policies pass whose bits 26 to 63 mean something that is not known here. */
  readonly allowUnknownPolicyBits?: boolean;
}

const CHECK = {
  format: 'report format',
  vek: 'VEK certificate',
  signer: 'signing key is of this VEK',
  product: 'report and VEK are of one product line',
  chain: 'VEK chain leads to a trusted root',
  crl: 'CRL is by the root',
  revoked: 'ASK is not revoked',
  dates: 'VEK chain is in date',
  signature: 'report is signed by the VEK',
  tcb: 'TCB is that of the VEK',
  chip: 'chip is that of the VEK',
  order: 'TCBs and versions are in order',
} as const;

/** In the order of spec/evidence.md 9.6; the code is that of input which cannot be read. */
const STEPS: readonly Step[] = [
  { check: CHECK.format, code: 'snp.format' },
  { check: CHECK.vek, code: 'snp.chain' },
  { check: CHECK.signer, code: 'snp.signer' },
  { check: CHECK.product, code: 'snp.product' },
  { check: CHECK.chain, code: 'snp.chain' },
  { check: CHECK.crl, code: 'crl.format' },
  { check: CHECK.revoked, code: 'snp.chain' },
  { check: CHECK.dates, code: 'snp.chain' },
  { check: CHECK.signature, code: 'snp.signature' },
  { check: CHECK.tcb, code: 'snp.tcb' },
  { check: CHECK.chip, code: 'snp.chip' },
  { check: CHECK.order, code: 'snp.tcb' },
];

/**
 * Verifies an SEV-SNP report, version 2 to 5, with the certificates of its VCEK or VLEK at the
 * given time (spec/evidence.md 9.6, 1 to 7). The claims are genuine where it is ok; whether they
 * are acceptable, debugging above all, is `appraise`'s to say.
 */
export async function verifySnpReport(
  bytes: Uint8Array,
  options: SnpReportOptions,
): Promise<Verification<SnpClaims>> {
  const progress = new Progress(STEPS);
  const skipped = new Map<string, string>();
  const { chain, bytes: chainBytes } = packChain(options);
  try {
    const report = parseSnpReport(bytes);
    checkGuestPolicy(report.policy, options.allowUnknownPolicyBits ?? false);
    const { cache = new VerificationCache(), crypto = WEB_SNP_CRYPTO } = options;
    const { anchors = AMD_ROOTS } = options;

    progress.begin(CHECK.vek);
    const id = await crypto.sha256Hex(chainBytes);
    const kept = cache.veks.get(id);
    const known = kept !== undefined && isFoundAmong(kept.ca, anchors) ? kept : undefined;
    const vek: Vek = known ?? parseVek(chain.vek);
    progress.begin(CHECK.signer);
    checkSigner(report, vek);
    progress.begin(CHECK.product);
    const { certificate, kind, extensions } = vek;
    const product = agreeOnProduct(report.cpuid, certificate, kind, extensions.productName);

    progress.begin(CHECK.chain);
    const verified = known ?? (await verifyVek(vek, chain, anchors, crypto, cache));
    if (known === undefined) cache.veks.set(id, verified);
    if (verified.ca.certificate.issuerCommonName !== `ARK-${product}`) {
      throw new Refusal('snp.chain', 'ASK is of another root');
    }
    await checkTime(verified, options, crypto, cache, progress, skipped);

    progress.begin(CHECK.signature);
    if (!(await verified.key.verify(report.signature, report.signed))) {
      throw new Refusal('snp.signature', 'report is not signed by the VEK');
    }
    const tcbs = checkBinding(report, vek, product, progress, skipped);
    const claims = snpClaimsOf(report, tcbs, product, vek, verified.ca.simulated);
    return { ok: true, claims, checks: markSkipped(progress.passed(), skipped) };
  } catch (error) {
    const { code, checks } = progress.failed(error);
    return { ok: false, code, checks: markSkipped(checks, skipped) };
  }
}

/** Steps that were passed over although the procedure went on: they say so, and why. */
function markSkipped(
  checks: readonly Check[],
  skipped: ReadonlyMap<string, string>,
): readonly Check[] {
  return checks.map((check): Check => {
    const detail = skipped.get(check.check);
    if (detail === undefined || check.outcome !== 'passed') return check;
    return { check: check.check, outcome: 'skipped', detail };
  });
}

/** Step 2: the key that the report names is of the certificate's kind, and it did sign. */
function checkSigner({ signingKey, maskChipKey }: SnpReport, { kind }: Vek): void {
  if (maskChipKey) throw new Refusal('snp.signer', 'MASK_CHIP_KEY: firmware does not sign');
  if (signingKey !== (kind === 'vcek' ? 0 : 1)) {
    throw new Refusal('snp.signer', 'SIGNING_KEY names another key than the certificate');
  }
}

/** Step 3, what is never kept: revocation and dates. */
async function checkTime(
  { certificate, ca }: VerifiedVek,
  { at, crl }: SnpReportOptions,
  crypto: SnpCrypto,
  { amdCrls }: VerificationCache,
  progress: Progress,
  skipped: Map<string, string>,
): Promise<void> {
  const validity = new Validity(at, 0);
  if (crl === undefined) {
    skipped.set(CHECK.crl, 'none given');
    skipped.set(CHECK.revoked, 'no CRL given');
  } else {
    progress.begin(CHECK.crl);
    const id = await crypto.sha256Hex(crl);
    let list = amdCrls.get(id);
    if (list === undefined || !isCrlOf(list, ca)) {
      list = await verifyAmdCrl(crl, ca.root);
      amdCrls.set(id, list);
    }
    validity.check(list.thisUpdate, list.nextUpdate, 'AMD CRL', 'crl.expired');
    progress.begin(CHECK.revoked);
    checkAskNotRevoked(ca, list);
  }
  progress.begin(CHECK.dates);
  const named = { VEK: certificate, ASK: ca.certificate, ARK: ca.root?.certificate };
  for (const [name, judged] of Object.entries(named)) {
    if (judged !== undefined) validity.check(judged.notBefore, judged.notAfter, name, 'snp.chain');
  }
}

/** Steps 5 to 7: the key was derived for this TCB and chip, and the report is consistent. */
function checkBinding(
  report: SnpReport,
  { kind, extensions }: Vek,
  product: SnpProduct,
  progress: Progress,
  skipped: Map<string, string>,
): SnpTcbs {
  progress.begin(CHECK.tcb);
  const tcbs = {
    currentTcb: parseSnpTcb(report.currentTcb, product, 'CURRENT_TCB'),
    reportedTcb: parseSnpTcb(report.reportedTcb, product, 'REPORTED_TCB'),
    committedTcb: parseSnpTcb(report.committedTcb, product, 'COMMITTED_TCB'),
    launchTcb: parseSnpTcb(report.launchTcb, product, 'LAUNCH_TCB'),
  };
  if (!isSameTcb(tcbs.reportedTcb, extensions.tcb)) {
    throw new Refusal('snp.tcb', 'REPORTED_TCB is not that of the VEK');
  }
  progress.begin(CHECK.chip);
  if (kind === 'vlek') skipped.set(CHECK.chip, 'a VLEK is of a provider, not of a chip');
  else if (isZero(report.chipId)) skipped.set(CHECK.chip, 'CHIP_ID is masked');
  else checkChip(report.chipId, extensions.hwId ?? new Uint8Array());
  progress.begin(CHECK.order);
  checkOrder(report, tcbs);
  return tcbs;
}

function checkChip(chipId: Bytes, hwId: Bytes): void {
  const used = chipId.subarray(0, hwId.length);
  if (hwId.length === 0 || !equalBytes(used, hwId) || !isZero(chipId.subarray(hwId.length))) {
    throw new Refusal('snp.chip', 'CHIP_ID is not that of the VCEK');
  }
}

function checkOrder(
  { currentVersion, committedVersion }: SnpReport,
  { currentTcb, reportedTcb, committedTcb, launchTcb }: SnpTcbs,
): void {
  const lower = { REPORTED_TCB: reportedTcb, COMMITTED_TCB: committedTcb, LAUNCH_TCB: launchTcb };
  for (const [name, tcb] of Object.entries(lower)) {
    if (!reachesTcb(currentTcb, tcb)) throw new Refusal('snp.tcb', `${name} is above CURRENT_TCB`);
  }
  if (numberOf(committedVersion) > numberOf(currentVersion)) {
    throw new Refusal('snp.tcb', 'COMMITTED version is above CURRENT');
  }
}

function numberOf([major, minor, build]: readonly [number, number, number]): number {
  return (major << 16) | (minor << 8) | build;
}
