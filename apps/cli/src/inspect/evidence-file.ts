import {
  parseEnvelope,
  unwrapOpenEnclaveReport,
  type EvidenceEnvelope,
} from '@cloister/attestation';
import {
  asBytes,
  decodeBase64,
  decodeBase64url,
  decodeHex,
  decodeUtf8,
  encodeHex,
  encodeUtf8,
  isJsonObject,
  MalformedError,
  parseJson,
  type Bytes,
  type JsonObject,
} from '@cloister/bytes';
import { CommandError } from '../command-error.ts';

/** What came in a file, freed of its wrapping; nothing is verified. */
export type EvidenceFile =
  | { readonly kind: 'quote'; readonly evidence: Bytes; readonly wrapping: readonly Wrapping[] }
  | {
      readonly kind: 'snp-report';
      readonly evidence: Bytes;
      readonly wrapping: readonly Wrapping[];
    }
  | {
      readonly kind: 'hcl-report';
      readonly evidence: Bytes;
      readonly wrapping: readonly Wrapping[];
      /** What stood beside it in the same document. */
      readonly beside: HclCompanions;
    }
  | { readonly kind: 'envelope'; readonly envelope: EvidenceEnvelope };

/** How evidence was wrapped, outermost first. */
export type Wrapping = 'hex' | 'base64' | 'base64url' | 'JSON' | 'Open Enclave report';

/** What comes with an HCL report from a confidential VM. */
export interface HclCompanions {
  readonly vcek?: Bytes;
  readonly tdQuote?: Bytes;
  readonly tpmQuote?: {
    readonly message: Bytes;
    readonly signature: Bytes;
    readonly pcrs: readonly Bytes[];
  };
}

const OPEN_ENCLAVE_HEADER = 16;
const SNP_REPORT_SIZE = 1184;
const INTEL_QE_VENDOR = '939a7233f79c4ca9940a0db3957f0607';
const MAX_DEPTH = 4;
/** Members under which evidence is found in JSON documents of others. */
const QUOTE_MEMBERS = ['quote', 'report', 'td_quote', 'QuoteHex', 'quoteHex'];

/**
 * Reads evidence in whatever form it came: raw, as hex or base64 text, in an Open Enclave report, as
 * an Azure HCL report, in an evidence envelope or another JSON document.
 */
export function readEvidence(bytes: Uint8Array): EvidenceFile {
  const found = recognise(asBytes(bytes), [], MAX_DEPTH);
  if (found === undefined) throw new CommandError('this is no evidence of a kind known here');
  return found;
}

/**
 * The HCL report of an envelope of format `azure-hcl`, with what the guest signed beside it; the
 * VCEK stands among the endorsements.
 */
export function readAzureEvidence({
  evidence,
  endorsements,
}: EvidenceEnvelope): Extract<EvidenceFile, { kind: 'hcl-report' }> {
  const file = readEvidence(evidence);
  if (file.kind !== 'hcl-report') throw new CommandError('there is no HCL report in the evidence');
  const { vcek } = endorsements ?? {};
  const certificate = typeof vcek === 'string' ? { vcek: decodeBase64url(vcek) } : {};
  return { ...file, wrapping: [], beside: { ...file.beside, ...certificate } };
}

function recognise(
  bytes: Bytes,
  wrapping: readonly Wrapping[],
  depth: number,
): EvidenceFile | undefined {
  if (depth === 0 || bytes.length < 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) === 0x4843_4c41) {
    return { kind: 'hcl-report', evidence: bytes, wrapping, beside: {} };
  }
  if (isOpenEnclave(view)) {
    const quote = unwrapOpenEnclaveReport(bytes);
    return { kind: 'quote', evidence: quote, wrapping: [...wrapping, 'Open Enclave report'] };
  }
  if (isQuote(bytes, view)) return { kind: 'quote', evidence: bytes, wrapping };
  if (isSnpReport(view)) return { kind: 'snp-report', evidence: bytes, wrapping };
  return recogniseText(bytes, wrapping, depth);
}

function isOpenEnclave(view: DataView): boolean {
  if (view.byteLength < OPEN_ENCLAVE_HEADER) return false;
  if (view.getUint32(0, true) !== 1 || view.getUint32(4, true) !== 2) return false;
  return view.getBigUint64(8, true) === BigInt(view.byteLength - OPEN_ENCLAVE_HEADER);
}

/** Intel's QE vendor id; or a version, a key type and a TEE that there are. */
function isQuote(bytes: Bytes, view: DataView): boolean {
  if (view.byteLength < 48) return false;
  if (encodeHex(bytes.subarray(12, 28)) === INTEL_QE_VENDOR) return true;
  const version = view.getUint16(0, true);
  const keyType = view.getUint16(2, true);
  const tee = view.getUint32(4, true);
  return version >= 3 && version <= 5 && (keyType === 2 || keyType === 3) && tee <= 0x81;
}

/** A report's length with a small number in front; or a version and algorithm that there are. */
function isSnpReport(view: DataView): boolean {
  if (view.byteLength < 0x2a0) return false;
  const version = view.getUint32(0, true);
  if (view.byteLength === SNP_REPORT_SIZE && version < 256) return true;
  return version >= 2 && version <= 5 && view.getUint32(0x34, true) === 1;
}

function recogniseText(
  bytes: Bytes,
  wrapping: readonly Wrapping[],
  depth: number,
): EvidenceFile | undefined {
  const text = attempt(() => decodeUtf8(bytes).trim());
  if (text === undefined) return undefined;
  if (text.startsWith('{')) {
    const json = parseJson(text, 'evidence');
    return isJsonObject(json) ? recogniseJson(json, wrapping, depth) : undefined;
  }
  const compact = text.replaceAll(/\s+/g, '').replace(/^0x/, '');
  const decoders: readonly (readonly [Wrapping, (text: string) => Bytes])[] = [
    ['hex', decodeHex],
    ['base64', decodeBase64],
    ['base64url', (coded) => decodeBase64url(coded.replace(/=+$/, ''))],
  ];
  for (const [name, decode] of decoders) {
    const inner = attempt(() => decode(compact));
    if (inner !== undefined) return recognise(inner, [...wrapping, name], depth - 1);
  }
  return undefined;
}

function recogniseJson(
  json: JsonObject,
  wrapping: readonly Wrapping[],
  depth: number,
): EvidenceFile | undefined {
  if (Object.hasOwn(json, 'runtimeData') && Object.hasOwn(json, 'format')) {
    return { kind: 'envelope', envelope: parseEnvelope(json) };
  }
  const inside: readonly Wrapping[] = [...wrapping, 'JSON'];
  if (isJsonObject(json['evidence'])) return recogniseJson(json['evidence'], wrapping, depth - 1);
  if (typeof json['hcl_report'] === 'string') {
    const hcl = recognise(encodeUtf8(json['hcl_report']), inside, depth - 1);
    return hcl?.kind === 'hcl-report' ? { ...hcl, beside: readCompanions(json) } : undefined;
  }
  for (const name of QUOTE_MEMBERS) {
    const value = json[name];
    if (typeof value === 'string') return recognise(encodeUtf8(value), inside, depth - 1);
  }
  return undefined;
}

function readCompanions(json: JsonObject): HclCompanions {
  const { vcek, td_quote: tdQuote, tpm_quote: tpmQuote } = json;
  const quote = typeof tdQuote === 'string' ? decodeText(tdQuote) : undefined;
  const certificate = typeof vcek === 'string' ? decodeText(vcek) : undefined;
  return {
    ...(certificate === undefined ? {} : { vcek: certificate }),
    ...(quote === undefined ? {} : { tdQuote: quote }),
    ...(isJsonObject(tpmQuote) ? { tpmQuote: readTpmQuote(tpmQuote) } : {}),
  };
}

function readTpmQuote({ message, signature, pcrs }: JsonObject): HclCompanions['tpmQuote'] & {} {
  const hex = (value: unknown): Bytes =>
    typeof value === 'string' ? decodeHex(value, 'TPM quote') : malformed();
  if (!Array.isArray(pcrs)) return malformed();
  return { message: hex(message), signature: hex(signature), pcrs: pcrs.map(hex) };
}

function malformed(): never {
  throw new MalformedError('bad_value', 'TPM quote');
}

function decodeText(text: string): Bytes {
  const padded = attempt(() => decodeBase64(text));
  return padded ?? decodeBase64url(text.replace(/=+$/, ''));
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
