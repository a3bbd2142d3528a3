import {
  decodeUtf8,
  isJsonObject,
  MalformedError,
  parseJson,
  parseJsonObject,
  sliceJsonMember,
  type Bytes,
  type JsonObject,
  type JsonValue,
} from '@cloister/bytes';
import { AzureError } from './azure-error.ts';
import { KIND_TRAITS, type AttestKind } from './kinds.ts';
import { decodeLenientBase64 } from './lenient-base64.ts';

/** Data that the evidence vouches for: bytes, and the JSON object that they are if so declared. */
export interface AttestedData {
  readonly bytes: Bytes;
  /** Present for `dataType` JSON. */
  readonly json?: JsonObject;
}

/** A request to attest (spec/azure-attestation.md 1.3), with its base64 decoded. */
export interface AttestRequest {
  readonly evidence: Bytes;
  readonly runtimeData?: AttestedData;
  readonly initTimeData?: AttestedData;
  /** As given; a number as its text. */
  readonly nonce?: string;
  readonly draftPolicy?: string;
}

const LIMITS = { maxDepth: 32, maxLength: 1 << 20 };
const MAX_NONCE = 1024;

/** Reads the body of an attest request for a kind of evidence. */
export function parseAttestRequest(body: Uint8Array, kind: AttestKind): AttestRequest {
  const { member, draft } = KIND_TRAITS[kind];
  const [text, request] = readBody(body);
  const evidence = request[member];
  if (typeof evidence !== 'string' || evidence === '')
    throw new AzureError('InvalidParameter', `${member}: required`, 'no_evidence');
  const runtimeData = parseAttestedData(request['runtimeData'], 'runtimeData');
  const initTimeData = parseAttestedData(request['initTimeData'], 'initTimeData');
  const nonce = parseNonce(request['nonce'], text);
  const draftPolicy = request['draftPolicyForAttestation'] ?? undefined;
  if (draftPolicy !== undefined && typeof draftPolicy !== 'string')
    throw new AzureError('InvalidParameter', 'draftPolicyForAttestation: not a string', 'bad_body');
  if (draftPolicy !== undefined && !draft)
    throw new AzureError(
      'InvalidParameter',
      `draftPolicyForAttestation: not for ${kind}`,
      'draft_policy',
    );
  return {
    evidence: decodeLenientBase64(evidence, member),
    ...(runtimeData === undefined ? {} : { runtimeData }),
    ...(initTimeData === undefined ? {} : { initTimeData }),
    ...(nonce === undefined ? {} : { nonce }),
    ...(draftPolicy === undefined ? {} : { draftPolicy }),
  };
}

function readBody(body: Uint8Array): [string, JsonObject] {
  try {
    const text = decodeUtf8(body, 'body');
    return [text, parseJsonObject(text, 'body', LIMITS)];
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new AzureError('InvalidParameter', 'The request body is not a JSON object', 'bad_body');
  }
}

function parseAttestedData(value: JsonValue | undefined, member: string): AttestedData | undefined {
  if (value === undefined || value === null) return undefined;
  const { data, dataType } = isJsonObject(value) ? value : {};
  if (typeof data !== 'string' || typeof dataType !== 'string')
    throw new AzureError('InvalidParameter', `${member}: data and dataType required`, 'bad_body');
  const bytes = decodeLenientBase64(data, `${member}.data`);
  switch (dataType.toLowerCase()) {
    case 'binary':
      return { bytes };
    case 'json':
      return { bytes, json: parseAttestedJson(bytes, member) };
    default:
      throw new AzureError('InvalidParameter', `${member}: unknown dataType`, 'bad_body');
  }
}

/** The real service takes NULs after the JSON (spec/azure-attestation.md 1.4), and so do we. */
function parseAttestedJson(bytes: Bytes, member: string): JsonObject {
  try {
    const text = decodeUtf8(bytes, member).replace(/\0+$/, '');
    const json = parseJson(text, member, LIMITS);
    if (isJsonObject(json)) return json;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
  throw new AzureError('InvalidParameter', `${member}: data is not a JSON object`, 'bad_json');
}

function parseNonce(value: JsonValue | undefined, text: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  const nonce =
    typeof value === 'string'
      ? value
      : typeof value === 'number'
        ? // A uint64 does not fit into a number: the text does.
          sliceJsonMember(text, 'nonce', 'body')
        : undefined;
  if (nonce === undefined || nonce.length > MAX_NONCE || !nonce.isWellFormed())
    throw new AzureError('InvalidParameter', 'nonce: not a short string or a number', 'bad_nonce');
  return nonce;
}
