import {
  decodeBase64url,
  encodeBase64url,
  MalformedError,
  type Bytes,
  type JsonObject,
  type JsonValue,
} from '@cloister/bytes';
import type { IntelCollateral } from '../intel/collateral.ts';
import { Shape } from '../shape.ts';

/** The formats of evidence that a service can show (design 3.7). */
export const EVIDENCE_FORMATS = [
  'sgx-quote',
  'tdx-quote',
  'snp-report',
  'azure-hcl',
  'simulated-sgx-quote',
] as const;

/** One of the formats of evidence (design 3.7). */
export type EvidenceFormat = (typeof EVIDENCE_FORMATS)[number];

/** Where the caller's nonce is a leaf of the Merkle tree whose root the runtime data names. */
export interface NoncePath {
  readonly index: number;
  readonly size: number;
  readonly path: readonly Bytes[];
}

/** What a service answers at `/attestation/evidence` (design 3.7). Nothing of it is verified. */
export interface EvidenceEnvelope {
  readonly format: EvidenceFormat;
  readonly evidence: Bytes;
  /** The very bytes whose SHA-256 the evidence carries. */
  readonly runtimeData: Bytes;
  /** Intel: see `intelCollateralOf`; AMD: vcek, ask, ark; Azure: those of its processor. */
  readonly endorsements?: JsonObject;
  /** Attestation tokens (compact JWS) that the service holds. */
  readonly tokens: readonly string[];
  readonly noncePath?: NoncePath;
}

const MAX_EVIDENCE = 64 * 1024;
const MAX_RUNTIME_DATA = 64 * 1024;
const MAX_TOKENS = 8;
const MAX_TOKEN = 64 * 1024;
const MAX_DOCUMENT = 1024 * 1024;
const INTEL_TEXTS = ['tcbInfo', 'qeIdentity', 'tcbInfoChain', 'qeIdentityChain'] as const;
const INTEL_CRLS = ['pckCrl', 'rootCaCrl'] as const;

/** Reads the JSON of `/attestation/evidence`; unknown members and oversized ones are refused. */
export function parseEnvelope(json: JsonValue): EvidenceEnvelope {
  const members = new Shape(json, 'evidence').members(
    ['format', 'evidence', 'runtimeData', 'tokens'],
    ['endorsements', 'noncePath'],
  );
  const endorsements = members.maybe('endorsements')?.object();
  const noncePath = members.maybe('noncePath');
  return {
    format: members.get('format').oneOf(EVIDENCE_FORMATS),
    evidence: bytesOf(members.get('evidence'), MAX_EVIDENCE),
    runtimeData: bytesOf(members.get('runtimeData'), MAX_RUNTIME_DATA),
    ...(endorsements === undefined ? {} : { endorsements }),
    tokens: members
      .get('tokens')
      .items({ max: MAX_TOKENS })
      .map((token) => textOf(token, MAX_TOKEN)),
    ...(noncePath === undefined ? {} : { noncePath: parseNoncePath(noncePath) }),
  };
}

/** The JSON of an envelope, as `parseEnvelope` reads it. */
export function encodeEnvelope(envelope: EvidenceEnvelope): JsonObject {
  const { format, evidence, runtimeData, endorsements, tokens, noncePath } = envelope;
  return {
    format,
    evidence: encodeBase64url(evidence),
    runtimeData: encodeBase64url(runtimeData),
    ...(endorsements === undefined ? {} : { endorsements }),
    tokens: [...tokens],
    ...(noncePath === undefined
      ? {}
      : {
          noncePath: {
            index: noncePath.index,
            size: noncePath.size,
            path: noncePath.path.map((node) => encodeBase64url(node)),
          },
        }),
  };
}

/** Intel's collateral out of an envelope's `endorsements` (design 3.7). */
export function intelCollateralOf(endorsements: JsonObject): IntelCollateral {
  const members = new Shape(endorsements, 'endorsements').members(
    [...INTEL_TEXTS, ...INTEL_CRLS],
    ['pckChain'],
  );
  const text = (name: string): string => textOf(members.get(name), MAX_DOCUMENT);
  const pckChain = members.maybe('pckChain');
  return {
    tcbInfo: text('tcbInfo'),
    qeIdentity: text('qeIdentity'),
    tcbInfoChain: text('tcbInfoChain'),
    qeIdentityChain: text('qeIdentityChain'),
    ...(pckChain === undefined ? {} : { pckChain: textOf(pckChain, MAX_DOCUMENT) }),
    pckCrl: bytesOf(members.get('pckCrl'), MAX_DOCUMENT),
    rootCaCrl: bytesOf(members.get('rootCaCrl'), MAX_DOCUMENT),
  };
}

/** The `endorsements` of an envelope that carry this collateral. */
export function encodeIntelEndorsements(collateral: IntelCollateral): JsonObject {
  const { pckChain, pckCrl, rootCaCrl } = collateral;
  return {
    tcbInfo: collateral.tcbInfo,
    qeIdentity: collateral.qeIdentity,
    tcbInfoChain: collateral.tcbInfoChain,
    qeIdentityChain: collateral.qeIdentityChain,
    ...(pckChain === undefined ? {} : { pckChain }),
    pckCrl: encodeBase64url(pckCrl),
    rootCaCrl: encodeBase64url(rootCaCrl),
  };
}

function parseNoncePath(shape: Shape): NoncePath {
  const members = shape.members(['index', 'size', 'path']);
  const size = members.get('size').integer(1, 2 ** 32);
  const index = members.get('index').integer(0, size - 1);
  const path = members
    .get('path')
    .items({ max: 32 })
    .map((node) => {
      const bytes = bytesOf(node, 32);
      return bytes.length === 32 ? bytes : node.fail();
    });
  return { index, size, path };
}

function textOf(shape: Shape, limit: number): string {
  const { value } = shape;
  return typeof value === 'string' && value.length <= limit ? value : shape.fail();
}

/** Bytes as base64url, so many at the most. */
export function bytesOf(shape: Shape, limit: number): Bytes {
  const text = textOf(shape, Math.ceil((limit * 4) / 3));
  try {
    return decodeBase64url(text);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return shape.fail();
  }
}
