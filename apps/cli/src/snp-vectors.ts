import {
  checkHclBinding,
  findingsOf,
  verifySnpReport,
  type SnpClaims,
  type VerificationCache,
} from '@cloister/attestation';
import { encodeHex, MalformedError, type Bytes } from '@cloister/bytes';
import { parseCertificate, sha256 } from '@cloister/crypto';
import {
  pick,
  type EvidenceVector,
  type ReadVectorFile,
  type VectorOutcome,
} from './evidence-vector.ts';

/** The claims that the manifest names for SNP reports; the mitigation vectors from version 5 on. */
const SNP_CLAIMS: readonly (keyof SnpClaims)[] = [
  'guestSvn',
  'policy',
  'debug',
  'migrateMA',
  'familyId',
  'imageId',
  'vmpl',
  'currentTcb',
  'platformInfo',
  'signingKey',
  'maskChipKey',
  'reportData',
  'measurement',
  'hostData',
  'idKeyDigest',
  'authorKeyDigest',
  'reportId',
  'reportedTcb',
  'product',
  'cpuid',
  'chipId',
  'chipIdMasked',
  'committedTcb',
  'currentVersion',
  'committedVersion',
  'launchTcb',
  'authorKeyEnabled',
  'reportIdMa',
  'launchMitVector',
  'currentMitVector',
  'vek',
];

/** Verifies an SNP report with the certificates of its entry. */
export async function judgeSnpReport(
  { at, id, files }: EvidenceVector,
  read: ReadVectorFile,
  cache: VerificationCache,
): Promise<Omit<VectorOutcome, 'id'>> {
  if (at === undefined) throw new MalformedError('bad_value', `${id}: validAt`);
  const root = parseCertificate(await read('trustAnchor'), `${id}: trust anchor`);
  const optional = async (name: string) => (files.has(name) ? await read(name) : undefined);
  const result = await verifySnpReport(await read('evidence'), {
    at,
    cache,
    anchors: [{ spki: root.spki }],
    vek: await read(files.has('vlek') ? 'vlek' : 'vcek'),
    ask: await optional('ask'),
    ark: await optional('ark'),
    crl: await optional('crl'),
  });
  const nothing = { tcbStatus: null, advisoryIds: null };
  if (!result.ok) {
    const { code: failure } = result;
    return { ...nothing, verdict: 'reject', failure, claims: null, policyFindings: [] };
  }
  const { claims } = result;
  return {
    ...nothing,
    verdict: 'accept',
    failure: null,
    claims: pick(claims, SNP_CLAIMS),
    policyFindings: findingsOf(claims),
  };
}

/** The manifest judges the binding of an HCL report alone: it has no certificates or quotes to it. */
export async function judgeHclReport(
  { tee }: EvidenceVector,
  read: ReadVectorFile,
): Promise<Omit<VectorOutcome, 'id'>> {
  const result = await checkHclBinding(await read('evidence'));
  const nothing = { tcbStatus: null, advisoryIds: null, policyFindings: [] };
  if (!result.ok) return { ...nothing, verdict: 'reject', failure: result.code, claims: null };
  const { report, runtime, reportData } = result.claims;
  if (report.tee !== tee) {
    return { ...nothing, verdict: 'reject', failure: 'hcl.format', claims: null };
  }
  const { userData } = runtime;
  const claims = {
    headerVersion: report.headerVersion,
    reportPayloadSize: report.payloadSize,
    requestType: report.requestType,
    reportType: report.tee === 'snp' ? 2 : 4,
    hashType: ['SHA-256', 'SHA-384', 'SHA-512'].indexOf(report.hash) + 1,
    runtimeDataSize: report.runtimeDataSize,
    runtimeClaimsLength: report.runtimeClaims.length,
    runtimeClaimsSha256: await hash(report.runtimeClaims),
    keys: runtime.kids,
    vmConfiguration: runtime.vmConfiguration,
    userData: userData ?? null,
    reportData,
    hardwareReportSha256: await hash(report.reportArea),
    ...(tee === 'snp' ? { hardwareReportVersion: report.hardwareReport[0] } : {}),
  };
  return { ...nothing, verdict: 'accept', failure: null, claims };
}

async function hash(data: Bytes): Promise<string> {
  return encodeHex(await sha256(data));
}
