import { createHash } from 'node:crypto';
import {
  verifyEvidence,
  type EvidenceFormat,
  type TrustedManifest,
  type VerificationCache,
} from '@cloister/attestation';
import {
  canonicalJson,
  decodeBase64,
  decodeBase64url,
  encodeHex,
  isJsonObject,
  MalformedError,
  type Bytes,
  type JsonObject,
  type JsonValue,
} from '@cloister/bytes';
import { parseJwk, sha256, spkiFromJwk, type Jwk } from '@cloister/crypto';
import { NODE_EVIDENCE_CRYPTO } from '@cloister/service';
import type { CollateralFinder } from '../collateral.ts';
import { EC_ALG, importAgreementKey } from './encrypt-to-tee.ts';
import { RcarError } from './rcar-error.ts';
import type { AttestedClient, Session } from './sessions.ts';

/** Trustee's names of TEEs, and our formats. `simulated-sgx` is ours: no CoCo client has it. */
const FORMATS = new Map<string, EvidenceFormat>([
  ['sgx', 'sgx-quote'],
  ['tdx', 'tdx-quote'],
  ['snp', 'snp-report'],
  ['simulated-sgx', 'simulated-sgx-quote'],
]);

/** By what foreign clients are judged. */
export interface AttestationTrust {
  readonly manifest: TrustedManifest;
  readonly at: Date;
  readonly cache: VerificationCache;
  /** Intel's collateral for clients that bring none, as CoCo's do. */
  readonly collateral: CollateralFinder;
}

/** Whether evidence of a TEE with this name can be judged here. */
export function isKnownTee(tee: string): boolean {
  return FORMATS.has(tee);
}

/**
 * Judges the Attestation payload of RCAR: the session's nonce, used once; evidence that is genuine;
 * report data that are the digest of the runtime data, the client's key among it.
 */
export async function judgeAttestation(
  body: JsonObject,
  session: Session,
  trust: AttestationTrust,
): Promise<AttestedClient> {
  const runtime = body['runtime-data'];
  if (!isJsonObject(runtime)) throw malformed('runtime-data');
  if (session.used) throw new RcarError('NonceUsed', 'this challenge was answered before');
  if (runtime['nonce'] !== session.nonce)
    throw new RcarError('NonceMismatch', 'not the challenge of this session');
  // From here on the challenge is spent, whatever comes of it.
  session.used = true;
  const key = await readKey(runtime['tee-pubkey']);
  const format = FORMATS.get(session.tee) ?? 'sgx-quote';
  const { evidence, endorsements } = readEvidence(body['tee-evidence'], session.tee);
  const found = endorsements ?? (await trust.collateral(evidence, format));
  const { roots } = trust.manifest.manifest.evidence;
  const { at, cache } = trust;
  const bare = { format, evidence, ...(found === undefined ? {} : { endorsements: found }) };
  const verdict = await verifyEvidence(bare, { roots, at, cache, crypto: NODE_EVIDENCE_CRYPTO });
  if (!verdict.ok) throw new RcarError('AttestationFailed', verdict.code);
  if (!reportDataOf(runtime).includes(verdict.claims.reportData))
    throw new RcarError('AttestationFailed', 'report_data_mismatch');
  return {
    claims: verdict.claims,
    key,
    evidenceDigest: encodeHex(await sha256(evidence)),
    manifest: trust.manifest.id,
  };
}

/**
 * The report data that stand for runtime data: a digest of their canonical JSON (RFC 8785), filled
 * up with zeros. Trustee's clients use SHA-384, ours SHA-256, others SHA-512.
 */
function reportDataOf(runtime: JsonObject): readonly string[] {
  const text = canonicalJson(runtime);
  return ['sha256', 'sha384', 'sha512'].map((algorithm) =>
    createHash(algorithm).update(text).digest('hex').padEnd(128, '0'),
  );
}

/** RSA for RSA-OAEP-256, or P-256 and P-384 for ECDH-ES+A256KW: other wrappings are not offered. */
async function readKey(value: JsonValue | undefined): Promise<Jwk> {
  try {
    const key = parseJwk(value ?? null, 'tee-pubkey');
    const alg = key.kty === 'EC' ? EC_ALG : 'RSA-OAEP-256';
    if (!['EC', 'RSA'].includes(key.kty) || (key.alg ?? alg) !== alg)
      throw malformed(`tee-pubkey: RSA with RSA-OAEP-256, or EC with ${EC_ALG}`);
    if (key.kty === 'EC') await importAgreementKey(key);
    else spkiFromJwk(key);
    return key;
  } catch (error) {
    if (error instanceof MalformedError) throw malformed('tee-pubkey');
    throw error;
  }
}

/** `{primary_evidence}` of today, or the bare evidence of earlier clients; an object or its text. */
function readEvidence(
  value: JsonValue | undefined,
  tee: string,
): { readonly evidence: Bytes; readonly endorsements: JsonObject | undefined } {
  const outer = isJsonObject(value) ? value : {};
  const primary = outer['primary_evidence'] ?? outer;
  if (!isJsonObject(primary)) throw malformed('tee-evidence');
  const text = primary[tee === 'snp' ? 'attestation_report' : 'quote'];
  if (typeof text !== 'string') throw malformed('tee-evidence');
  const { endorsements } = primary;
  return {
    evidence: decodeAnyBase64(text),
    endorsements: isJsonObject(endorsements) ? endorsements : undefined,
  };
}

function decodeAnyBase64(text: string): Bytes {
  try {
    return /[-_]/.test(text) ? decodeBase64url(text) : decodeBase64(text);
  } catch (error) {
    if (error instanceof MalformedError) throw malformed('tee-evidence');
    throw error;
  }
}

function malformed(where: string): RcarError {
  return new RcarError('MalformedRequest', where);
}
