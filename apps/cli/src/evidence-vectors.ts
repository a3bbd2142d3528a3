import {
  findingsOf,
  verifySgxQuote,
  verifyTdxQuote,
  type IntelQuoteOptions,
  type QuoteVerification,
  type SgxClaims,
  type TdxClaims,
  type VerificationCache,
} from '@cloister/attestation';
import { decodeUtf8, MalformedError } from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';
import {
  pick,
  type EvidenceVector,
  type ReadVectorFile,
  type VectorOutcome,
} from './evidence-vector.ts';
import { judgeHclReport, judgeSnpReport } from './snp-vectors.ts';

export {
  findDisagreements,
  parseVectors,
  readBeside,
  type EvidenceVector,
  type VectorOutcome,
} from './evidence-vector.ts';

/** Judges one kind of evidence. */
type Judge = (
  vector: EvidenceVector,
  read: ReadVectorFile,
  cache: VerificationCache,
) => Promise<Omit<VectorOutcome, 'id'>>;

/** By `tee/kind` of an entry; what is not here is answered "unsupported". */
const JUDGES: ReadonlyMap<string, Judge> = new Map([
  [
    'sgx/quote',
    async (vector, read, cache) => {
      const options = await readIntelOptions(vector, read, cache);
      return outcomeOf(await verifySgxQuote(await read('evidence'), options), SGX_CLAIMS);
    },
  ],
  [
    'tdx/quote',
    async (vector, read, cache) => {
      const options = await readIntelOptions(vector, read, cache);
      return outcomeOf(await verifyTdxQuote(await read('evidence'), options), TDX_CLAIMS);
    },
  ],
  ['snp/snp-report', judgeSnpReport],
  ['snp/hcl-report', judgeHclReport],
  ['tdx/hcl-report', judgeHclReport],
]);

const PLATFORM_CLAIMS = [
  'fmspc',
  'pceId',
  'pceSvn',
  'pckCpuSvn',
  'ppid',
  'pckSerial',
  'pckCa',
] as const;
/** The claims that the manifest names for SGX quotes. */
const SGX_CLAIMS: readonly (keyof SgxClaims)[] = [
  'mrenclave',
  'mrsigner',
  'isvProdId',
  'isvSvn',
  'attributes',
  'miscSelect',
  'cpuSvn',
  'debug',
  'reportData',
  ...PLATFORM_CLAIMS,
];
/** The claims that the manifest names for TDX quotes; the last two from TDX 1.5 on. */
const TDX_CLAIMS: readonly (keyof TdxClaims)[] = [
  'mrtd',
  'rtmrs',
  'mrseam',
  'mrsignerseam',
  'seamAttributes',
  'tdAttributes',
  'xfam',
  'mrconfigid',
  'mrowner',
  'mrownerconfig',
  'teeTcbSvn',
  'debug',
  'septVeDisable',
  'reportData',
  ...PLATFORM_CLAIMS,
  'teeTcbSvn2',
  'mrservicetd',
];

/** Verifies an entry with its own trust anchor, at its own time. */
export async function judgeVector(
  vector: EvidenceVector,
  read: ReadVectorFile,
  cache: VerificationCache,
): Promise<VectorOutcome> {
  const judge = JUDGES.get(`${vector.tee}/${vector.kind}`);
  if (judge !== undefined) return { id: vector.id, ...(await judge(vector, read, cache)) };
  const nothing = { tcbStatus: null, advisoryIds: null, claims: null, policyFindings: [] };
  return { id: vector.id, verdict: null, failure: 'unsupported', ...nothing };
}

function outcomeOf<Claims extends SgxClaims | TdxClaims>(
  result: QuoteVerification<Claims>,
  names: readonly (keyof Claims & string)[],
): Omit<VectorOutcome, 'id'> {
  if (result.ok) {
    const { claims } = result;
    return {
      verdict: 'accept',
      tcbStatus: claims.tcbStatus,
      advisoryIds: claims.advisoryIds,
      failure: null,
      claims: pick(claims, names),
      policyFindings: findingsOf(claims),
    };
  }
  const { code, refused } = result;
  return {
    verdict: 'reject',
    tcbStatus: refused?.tcbStatus ?? null,
    advisoryIds: refused?.advisoryIds ?? null,
    failure: code,
    claims: null,
    policyFindings: refused?.findings ?? [],
  };
}

async function readIntelOptions(
  { at, id, files }: EvidenceVector,
  read: ReadVectorFile,
  cache: VerificationCache,
): Promise<IntelQuoteOptions> {
  if (at === undefined) throw new MalformedError('bad_value', `${id}: validAt`);
  const text = async (name: string) => decodeUtf8(await read(name), `${id}: ${name}`);
  const root = parseCertificate(await read('trustAnchor'), `${id}: trust anchor`);
  const pckChain = files.has('pckChain') ? { pckChain: await text('pckChain') } : {};
  return {
    at,
    anchors: [{ spki: root.spki }],
    cache,
    collateral: {
      ...pckChain,
      tcbInfo: await text('tcbInfo'),
      tcbInfoChain: await text('tcbInfoChain'),
      qeIdentity: await text('qeIdentity'),
      qeIdentityChain: await text('qeIdentityChain'),
      pckCrl: await read('pckCrl'),
      rootCaCrl: await read('rootCaCrl'),
    },
  };
}
