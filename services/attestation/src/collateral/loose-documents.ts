import { pckCaOf, type IntelCollateral, type IntelQuery, type PckCa } from '@cloister/attestation';
import {
  decodeHex,
  encodeUtf8,
  isJsonObject,
  MalformedError,
  parseJsonObject,
  sliceJsonMember,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import {
  parseCertificateChain,
  parseCrl,
  verifySignature,
  type Certificate,
  type Crl,
} from '@cloister/crypto';
import { isGoodAt, newestAt, type Dated } from './dated.ts';

/** A signed JSON document of Intel's with the chain of its signer, PEM. */
interface SignedDocument extends Dated {
  readonly tee: 'sgx' | 'tdx';
  readonly text: string;
  readonly chain: string;
}

interface LooseTcbInfo extends SignedDocument {
  readonly fmspc: string;
}

interface LooseCrl extends Dated {
  /** The PCK CA whose certificates it revokes; undefined of the root's. */
  readonly ca: PckCa | undefined;
  readonly der: Bytes;
}

/** Intel's documents as they came from its servers, one file each. */
export interface LooseDocuments {
  readonly tcbInfos: readonly LooseTcbInfo[];
  readonly qeIdentities: readonly SignedDocument[];
  readonly crls: readonly LooseCrl[];
}

/** A file of a folder with collateral. */
export interface NamedFile {
  readonly name: string;
  readonly bytes: Bytes;
}

/** A JSON file, and what it holds. */
export interface JsonFile {
  readonly text: string;
  readonly json: JsonObject;
}

/**
 * Sorts documents by what they say of themselves: TCB infos and QE identities (signed envelopes),
 * CRLs (DER), and chains of signers (PEM), of which each document gets the one that signed it.
 */
export async function readLooseDocuments(
  jsons: readonly JsonFile[],
  crls: readonly NamedFile[],
  chains: readonly string[],
): Promise<LooseDocuments> {
  const signers = chains.map((pem) => ({ pem, chain: parseCertificateChain(pem, 'chain') }));
  const tcbInfos: LooseTcbInfo[] = [];
  const qeIdentities: SignedDocument[] = [];
  for (const file of jsons) {
    const member = isTcbInfo(file.json) ? 'tcbInfo' : 'enclaveIdentity';
    const body = file.json[member];
    if (!isJsonObject(body)) throw new MalformedError('bad_value', `collateral: ${member}`);
    const dates = datesOf(body);
    const signed = {
      text: file.text,
      chain: await signerOf(file, member, signers, dates),
      ...dates,
    };
    const { id, fmspc } = body;
    if (member === 'enclaveIdentity')
      qeIdentities.push({ ...signed, tee: id === 'TD_QE' ? 'tdx' : 'sgx' });
    else if (typeof fmspc === 'string')
      tcbInfos.push({ ...signed, tee: id === 'TDX' ? 'tdx' : 'sgx', fmspc: fmspc.toLowerCase() });
  }
  return {
    tcbInfos,
    qeIdentities,
    crls: crls.map(({ bytes }) => looseCrl(bytes, parseCrl(bytes, 'CRL'))),
  };
}

/** Whether a JSON object is a TCB info as Intel serves it. */
export function isTcbInfo(json: JsonObject): boolean {
  return (
    Object.hasOwn(json, 'tcbInfo') && Object.hasOwn(json, 'signature') && !isEndorsements(json)
  );
}

/** Whether it is a QE identity as Intel serves it. */
export function isQeIdentity(json: JsonObject): boolean {
  return Object.hasOwn(json, 'enclaveIdentity') && Object.hasOwn(json, 'signature');
}

function isEndorsements(json: JsonObject): boolean {
  return Object.hasOwn(json, 'tcbInfoChain');
}

/** What one platform needs, put together from loose documents, and whether all of it is good. */
export function assembleCollateral(
  documents: LooseDocuments,
  { tee, fmspc, ca }: IntelQuery,
  at: Date,
  baseline?: number,
):
  | { readonly collateral: IntelCollateral; readonly number: number; readonly good: boolean }
  | undefined {
  const tcbInfo = newestAt(
    documents.tcbInfos.filter(
      (one) =>
        one.tee === tee &&
        one.fmspc === fmspc &&
        (baseline === undefined || one.evaluationNumber === baseline),
    ),
    at,
  );
  const qeIdentity = newestAt(
    documents.qeIdentities.filter((one) => one.tee === tee),
    at,
  );
  const pckCrl = newestAt(
    documents.crls.filter((one) => one.ca === ca),
    at,
  );
  const rootCrl = newestAt(
    documents.crls.filter((one) => one.ca === undefined),
    at,
  );
  if (!tcbInfo || !qeIdentity || !pckCrl || !rootCrl) return undefined;
  return {
    collateral: {
      tcbInfo: tcbInfo.text,
      tcbInfoChain: tcbInfo.chain,
      qeIdentity: qeIdentity.text,
      qeIdentityChain: qeIdentity.chain,
      pckCrl: pckCrl.der,
      rootCaCrl: rootCrl.der,
    },
    number: tcbInfo.evaluationNumber,
    good: [tcbInfo, qeIdentity, pckCrl, rootCrl].every((one) => isGoodAt(one, at)),
  };
}

function datesOf(body: JsonObject): Dated {
  const { issueDate, nextUpdate, tcbEvaluationDataNumber } = body;
  if (typeof issueDate !== 'string' || typeof nextUpdate !== 'string')
    throw new MalformedError('bad_value', 'collateral: dates');
  return {
    evaluationNumber: typeof tcbEvaluationDataNumber === 'number' ? tcbEvaluationDataNumber : 0,
    issued: new Date(issueDate),
    ends: new Date(nextUpdate),
  };
}

function looseCrl(der: Bytes, crl: Crl): LooseCrl {
  const isRoot = crl.issuerCommonName?.includes('Root') === true;
  return {
    ca: isRoot ? undefined : pckCaOf(crl),
    der,
    evaluationNumber: 0,
    issued: crl.thisUpdate,
    ends: crl.nextUpdate ?? new Date(0),
  };
}

/**
 * The chain whose leaf signed a document. A signer's key has certificates of several years: the one
 * that is good as long as the document counts. A quote is verified against it anew; this only sorts.
 */
async function signerOf(
  { text, json }: JsonFile,
  member: string,
  signers: readonly Signer[],
  dates: Dated,
): Promise<string> {
  const signature = json['signature'];
  const raw = typeof signature === 'string' ? decodeHex(signature, 'collateral: signature') : null;
  const signed = encodeUtf8(sliceJsonMember(text, member, 'collateral'));
  const fitting: Signer[] = [];
  for (const signer of signers) {
    const [leaf] = signer.chain;
    if (raw === null || leaf === undefined) continue;
    if (await verifySignature(leaf.spki, 'ecdsa-sha256', raw, signed)) fitting.push(signer);
  }
  const covering = fitting.find(({ chain: [leaf] }) => isGoodFor(leaf, dates));
  const signer = covering ?? fitting[0];
  if (signer === undefined)
    throw new MalformedError('bad_value', `collateral: ${member}: no chain of its signer`);
  return signer.pem;
}

interface Signer {
  readonly pem: string;
  readonly chain: readonly Certificate[];
}

function isGoodFor(leaf: Certificate | undefined, { issued, ends }: Dated): boolean {
  return leaf !== undefined && leaf.notBefore <= issued && ends <= leaf.notAfter;
}

/** Reads a JSON file. */
export function readJsonFile(text: string): JsonFile {
  return { text, json: parseJsonObject(text, 'collateral') };
}
