import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  findingsOf,
  verifySgxQuote,
  verifySnpReport,
  verifyTdxQuote,
  type IntelQuoteOptions,
  type QuoteVerification,
  type SgxClaims,
  type SnpClaims,
  type TdxClaims,
  type VerificationCache,
} from '@cloister/attestation';
import {
  asBytes,
  decodeUtf8,
  isJsonObject,
  MalformedError,
  parseJsonObject,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { parseCertificate } from '@cloister/crypto';

/** One entry of an evidence manifest, as far as a verifier needs it. */
export interface EvidenceVector {
  readonly id: string;
  readonly tee: string;
  readonly kind: string;
  readonly at: Date | undefined;
  /** Paths relative to the manifest, by what the file is; `trustAnchor` is among them. */
  readonly files: ReadonlyMap<string, string>;
  readonly expected: JsonObject;
}

/** What a verifier says of an entry, in the manifest's names. */
export interface VectorOutcome {
  readonly id: string;
  /** null where this kind of evidence is not supported. */
  readonly verdict: 'accept' | 'reject' | null;
  readonly tcbStatus: string | null;
  readonly advisoryIds: readonly string[] | null;
  readonly failure: string | null;
  readonly claims: Readonly<Record<string, unknown>> | null;
  readonly policyFindings: readonly string[];
}

/** Reads an entry's file by what it is. */
export type ReadVectorFile = (name: string) => Promise<Bytes>;

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

async function judgeSnpReport(
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

/** These members, where they are there. */
function pick<T extends object>(claims: T, names: readonly (keyof T & string)[]) {
  return Object.fromEntries(
    names.flatMap((name) => (claims[name] === undefined ? [] : [[name, claims[name]]])),
  );
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

/** Reads a manifest; MalformedError names the entry that cannot be read. */
export function parseVectors(text: string): EvidenceVector[] {
  const { vectors } = parseJsonObject(text, 'evidence manifest');
  if (!Array.isArray(vectors)) throw new MalformedError('bad_value', 'evidence manifest: vectors');
  return vectors.map((vector, i) => {
    const where = `evidence manifest: vectors[${i}]`;
    if (!isJsonObject(vector)) throw new MalformedError('bad_value', where);
    const { id, tee, kind, validAt, files, trustAnchor, expected } = vector;
    if (
      typeof id !== 'string' ||
      typeof tee !== 'string' ||
      typeof kind !== 'string' ||
      !isJsonObject(files)
    ) {
      throw new MalformedError('bad_value', where);
    }
    const paths = Object.entries({
      ...files,
      ...(trustAnchor === undefined ? {} : { trustAnchor }),
    });
    return {
      id,
      tee,
      kind,
      at: typeof validAt === 'number' ? new Date(validAt * 1000) : undefined,
      files: new Map(
        paths.map(([name, path]): [string, string] => {
          if (typeof path === 'string') return [name, path];
          throw new MalformedError('bad_value', `${where}.files.${name}`);
        }),
      ),
      expected: isJsonObject(expected) ? expected : {},
    };
  });
}

/** Reads the files of an entry beside its manifest. */
export function readBeside(manifest: string, { id, files }: EvidenceVector): ReadVectorFile {
  return async (name) => {
    const path = files.get(name);
    if (path === undefined) throw new MalformedError('truncated', `${id}: no file ${name}`);
    return asBytes(await readFile(join(dirname(manifest), path)));
  };
}

/**
 * In what an outcome differs from what an entry expects, in words; empty where they agree. Where
 * the reference leaves the choice to the implementer (mayReject, mayAccept) either verdict agrees.
 */
export function findDisagreements({ expected }: EvidenceVector, outcome: VectorOutcome): string[] {
  const { verdict, failure } = outcome;
  if (expected['verdict'] !== verdict) {
    const free = verdict === 'reject' ? expected['mayReject'] : expected['mayAccept'];
    return free === undefined || verdict === null ? [`verdict ${verdict}, failure ${failure}`] : [];
  }
  const differences: string[] = [];
  const compare = (name: 'tcbStatus' | 'advisoryIds' | 'claims' | 'policyFindings') => {
    const found = sortedJson(outcome[name]);
    if (found !== sortedJson(expected[name])) differences.push(`${name} ${found}`);
  };
  compare('tcbStatus');
  compare('advisoryIds');
  compare('policyFindings');
  if (verdict === 'accept') compare('claims');
  const { codes } = expected;
  if (verdict === 'reject' && !(Array.isArray(codes) && codes.some((code) => code === failure))) {
    differences.push(`failure ${failure}`);
  }
  return differences;
}

/** A text that is equal for equal JSON values, whatever the order of their members. */
function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => sortedJson(item)).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'undefined';
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, item]) => `${JSON.stringify(name)}:${sortedJson(item)}`).join()}}`;
}
